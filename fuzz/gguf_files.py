"""GGUF files: metadata and tensors that go together, then wrong in some place."""

from __future__ import annotations

import struct
from random import Random

from fuzz.values import damaged, number, text

ARCHITECTURES = (
    "llama", "qwen2", "qwen3moe", "gemma3", "phi3", "gpt-oss", "deepseek2", "glm4", "granite", "falcon", "bloom",
    "gpt2", "nemotron", "mamba", "nova", "bert", "modern-bert", "t5", "t5encoder", "clip", "apertus", "falcon-h1",
    "qwen2vl",
)  # fmt: skip
WHOLE = (
    "block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
    "context_length", "vocab_size", "attention.key_length", "rope.dimension_count", "expert_count", "expert_used_count",
    "expert_feed_forward_length", "attention.sliding_window", "ssm.state_size", "attention.kv_lora_rank",
    "rope.scaling.original_context_length", "leading_dense_block_count", "decoder_block_count",
    "attention.relative_buckets_count", "vision.embedding_length", "vision.feed_forward_length", "vision.block_count",
    "vision.attention.head_count", "vision.image_size", "vision.patch_size", "vision.projection_dim",
    "vision.projector.scale_factor", "vision.n_wa_pattern",
)  # fmt: skip
NUMBERS = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "rope.freq_base", "rope.scaling.factor")
TOKENIZER = ("llama", "gpt2", "bert", "t5", "gemma4", "rwkv", "")
PROJECTORS = ("gemma3", "mlp", "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "nova")
NAMES = (
    "token_embd.weight", "output_norm.weight", "output.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
    "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_qkv.weight", "blk.0.ffn_up.weight",
    "blk.0.ffn_down.weight", "blk.1.ffn_gate_exps.weight", "blk.0.attn_k_b.weight", "rope_freqs.weight", "blk.0.ssm_a",
    "position_embd.weight", "token_types.weight", "cls.weight", "cls.output.weight", "enc.blk.0.ffn_gate.weight",
    "enc.blk.1.attn_rel_b.weight", "v.blk.0.ffn_down.weight", "mm.2.weight",
)  # fmt: skip
# A type's number, the weights and the bytes of one block of it.
TYPES = ((0, 1, 4), (1, 1, 2), (2, 32, 18), (8, 32, 34), (12, 256, 144), (16, 256, 66), (30, 1, 2), (39, 32, 17))
U8, U32, F32, BOOL, STRING, ARRAY = 0, 4, 6, 7, 8, 9


def gguf_file(random: Random) -> bytes:
    """A file of a few tensors, mostly with something that is wrong."""
    keys, tensors, data = _keys(random), [], 0
    for name in random.sample(NAMES, random.randrange(8)):
        kind, weights, size = random.choice(TYPES)
        shape = [weights * random.choice((1, 1, 2, 3)), *(random.choice((1, 2, 3)) for _ in range(random.randrange(3)))]
        offset = data if random.random() < 0.97 else number(random) % 2**64
        tensors.append(_text(name) + _sizes(random, shape) + struct.pack("<IQ", kind, offset))
        rows = 1
        for side in shape[1:]:
            rows *= side
        data += -(-shape[0] // weights * size * rows // 32) * 32
    counts = [len(tensors), len(keys)]
    if random.random() < 0.1:
        counts[random.randrange(2)] = number(random) % 2**64
    head = b"GGUF" + struct.pack("<IQQ", random.choice((2, 3, 3, 3, 1)), *counts) + b"".join((*keys, *tensors))
    content = random.randbytes(data) if random.random() < 0.3 else bytes(data)
    whole = head + bytes(-len(head) % 32) + content
    return damaged(random, whole) if random.random() < 0.2 else whole


def _keys(random: Random) -> list[bytes]:
    architecture = random.choice(ARCHITECTURES)
    keys = [_key("general.architecture", STRING, _text(architecture))]
    for name in WHOLE:
        if random.random() < 0.8:
            value = random.choice((0, 1, 2, 3, 4, 8)) if random.random() < 0.9 else number(random) % 2**32
            keys.append(_key(f"{architecture}.{name}", U32, struct.pack("<I", value)))
    keys += [
        _key(f"{architecture}.{name}", F32, struct.pack("<f", random.choice((0.0, 1e-5, 1e4, -1.0, float("nan")))))
        for name in NUMBERS
    ]
    tokens = [text(random) for _ in range(random.randrange(5))]
    keys += [
        _key("tokenizer.ggml.model", STRING, _text(random.choice(TOKENIZER))),
        _key("tokenizer.ggml.pre", STRING, _text(random.choice(("gpt-2", "qwen2", "default")))),
        _key("tokenizer.ggml.tokens", ARRAY, _array(STRING, [_text(token) for token in tokens])),
        _key("tokenizer.ggml.scores", ARRAY, _array(F32, [struct.pack("<f", -1.0)] * random.choice((len(tokens), 2)))),
        _key("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", random.randrange(4))),
        _key("tokenizer.ggml.precompiled_charsmap", ARRAY, _array(U8, [bytes([random.randrange(256)])] * 9)),
        _key("clip.projector_type", STRING, _text(random.choice(PROJECTORS))),
        _key("xielu.alpha_p", ARRAY, _array(F32, [struct.pack("<f", 0.5)] * random.randrange(4))),
        _key("qwen2vl.rope.dimension_sections", ARRAY, _array(U32, [struct.pack("<I", random.randrange(4))] * 4)),
    ]
    if random.random() < 0.3:
        keys[random.randrange(len(keys))] = _odd(random)
    return keys


def _odd(random: Random) -> bytes:
    """A key of any kind, with a value that may be none of that kind."""
    kind = random.choice((*range(14), ARRAY, ARRAY))
    if kind != ARRAY:
        return _key(text(random), kind, random.randbytes(random.randrange(20)))
    count = number(random) % 2**64 if random.random() < 0.3 else random.randrange(4)
    inner = struct.pack("<IQ", random.randrange(14), count)
    return _key(random.choice(("llama.attention.head_count", text(random))), ARRAY, inner + random.randbytes(40))


def _sizes(random: Random, shape: list[int]) -> bytes:
    sides = [number(random) % 2**64 if random.random() < 0.02 else side for side in shape]
    return struct.pack(f"<I{len(sides)}Q", len(sides), *sides)


def _key(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _array(kind: int, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(raw)) + raw
