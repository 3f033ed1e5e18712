"""Measure what reads a GGUF file: some 700 tensors behind a vocabulary of 150,000 tokens and as many merges."""

from __future__ import annotations

import struct
from pathlib import Path

from benchmarks.measure import WEIGHTSCOPE, Figure
from benchmarks.reading import IMPORTS, compare

LAYERS, WIDTH, INNER, TOKENS = 77, 4096, 14336, 150_000
U32, F32, STRING, ARRAY, Q4_K = 4, 6, 8, 9, 12
SIZES = {
    "block_count": LAYERS, "embedding_length": WIDTH, "feed_forward_length": INNER, "attention.head_count": 32,
    "attention.head_count_kv": 8, "context_length": 8192, "vocab_size": TOKENS,
}  # fmt: skip


def measure_gguf(scratch: Path, rounds: int) -> list[Figure]:
    """`inspect` against the import of what every command imports, and its display."""
    path = ghost(scratch / "ghost.gguf")
    commands = {"inspect": (*WEIGHTSCOPE, "inspect", str(path)), **IMPORTS}
    limits = dict.fromkeys(IMPORTS, 1.5)
    return compare(f"a GGUF file of {9 * LAYERS + 3} tensors and {TOKENS:,} tokens", commands, limits, rounds)


def ghost(path: Path) -> Path:
    """The header of a Llama in Q4_K, and holes."""
    keys = [_key("general.architecture", STRING, _text("llama"))]
    keys += [_key(f"llama.{name}", U32, struct.pack("<I", value)) for name, value in SIZES.items()]
    keys += [_key("llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5))]
    for name, word in (("tokens", "token{}"), ("merges", "to ken{}")):
        words = b"".join(_text(word.format(number)) for number in range(TOKENS))
        keys.append(_key(f"tokenizer.ggml.{name}", ARRAY, struct.pack("<IQ", STRING, TOKENS) + words))
    tensors, end = [], 0
    for name, shape, kind in _tensors():
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        tensors.append(_text(name) + sizes + struct.pack("<IQ", kind, end))
        end += -(-(size // 256 * 144 if kind == Q4_K else 4 * size) // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join((*keys, *tensors))
    with path.open("wb") as file:
        file.write(head)
        file.truncate(-(-len(head) // 32) * 32 + end)
    return path


def _tensors() -> list[tuple[str, tuple[int, ...], int]]:
    """Names, shapes with the innermost dimension first, and types."""
    vector, square, narrow = ((WIDTH,), 0), ((WIDTH, WIDTH), Q4_K), ((WIDTH, WIDTH // 4), Q4_K)
    layer = {
        "attn_norm": vector, "attn_q": square, "attn_k": narrow, "attn_v": narrow, "attn_output": square,
        "ffn_norm": vector, "ffn_gate": ((WIDTH, INNER), Q4_K), "ffn_up": ((WIDTH, INNER), Q4_K),
        "ffn_down": ((INNER, WIDTH), Q4_K),
    }  # fmt: skip
    table = ((WIDTH, TOKENS), Q4_K)
    around = {"token_embd.weight": table, "output.weight": table, "output_norm.weight": vector}
    within = {f"blk.{i}.{name}.weight": of for i in range(LAYERS) for name, of in layer.items()}
    return [(name, shape, kind) for name, (shape, kind) in (around | within).items()]


def _key(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()
