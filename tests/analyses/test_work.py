"""Multiply-adds of a token, against those that torch counts in transformers' own step with a cache."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers.modeling_outputs import MoEModelOutput

import weightscope
from tests.analyses.configs import config_of
from tests.families.test_published import MODELS
from tests.families.tiny import TINY, Tiny
from weightscope.analyses.memory.work import TokenWork

CONTEXT = 9
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
# Latents, of which transformers makes the keys and values of all tokens anew.
LATENT = (
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe_lite", "longcat_flash", "youtu", "minicpm3",
    "kimi_k25", "kimi_linear", "bailing_hybrid", "mistral4", "axk1",
)  # fmt: skip
# Recurrences, of which torch counts a part; and how many multiply-adds of an element of the memory it does not count.
RECURRENT = {
    # Short convolutions alone.
    **dict.fromkeys(("lfm2", "lfm2_moe", "lfm2_vl", "lfm3"), 0),
    # Mamba's reading is a product, its writing is not.
    **dict.fromkeys(
        ("mamba", "mamba2", "falcon_mamba", "bamba", "zamba", "zamba2", "jamba", "granitemoehybrid", "nemotron_h",
         "falcon_h1"), 1,
    ),
    # A delta net's memory is read twice and written once, element by element.
    **dict.fromkeys(
        ("qwen3_5_text", "qwen3_5", "qwen3_next", "qwen3_5_moe", "qwen3_5_moe_text", "olmo_hybrid", "minicpmv4_6",
         "kimi_linear", "bailing_hybrid"), 3,
    ),
}  # fmt: skip
# Types whose step in transformers is not run, or multiplies otherwise.
OTHERWISE = {
    **dict.fromkeys(LATENT, "it has a test of its own"),
    **dict.fromkeys(RECURRENT, "it has a test of its own"),
    **dict.fromkeys(("recurrent_gemma", "rwkv"), "all of the recurrence goes element by element, without a cache"),
    "deepseek_v4": "streams are read, and windows compressed, element by element; it has a test of its own",
    "xlnet": "it has no cache of keys",
    **dict.fromkeys(
        ("blip", "blip-2", "instructblip", "idefics", "kosmos-2", "pix2struct", "shieldgemma2"),
        "a text alone is not run",
    ),
    **dict.fromkeys(("whisper", "speech_to_text"), "they hear, and are given no text"),
    "dbrx": "its experts want gradients",
}  # fmt: skip

# What transformers multiplies more than there is need to.
MORE = {
    # Every token goes through all experts: in 2 layers 2 more, in 4 layers 4 more.
    "llama4": 2 * 2 * 3 * 26 * 48,
    "llama4_text": 4 * 4 * 3 * 52 * 24,
    # 2 layers score all 10 keys and hide the 5 that are beyond the window.
    "gpt_neo": 2 * 5 * 2 * 24,
}

# What makes keys and values of what an encoder read.
CROSS_KEYS = (
    "EncDecAttention.k.weight",
    "EncDecAttention.v.weight",
    "encoder_attn.k_proj.weight",
    "encoder_attn.v_proj.weight",
)


def firsts() -> list[Tiny]:
    """One tiny model of each type that writes."""
    found: dict[str, Tiny] = {}
    for tiny in TINY:
        if tiny.model in GENERATES:
            found.setdefault(tiny.kind, tiny)
    return [tiny for tiny in found.values() if tiny.name not in OTHERWISE]


def work_of(path: Path, **asked: Any) -> TokenWork:
    found = weightscope.open(path).memory(**asked).work
    assert found
    return found


def step(model: Any, ids: torch.Tensor) -> int:
    """Multiply-adds of the last token, the others in a cache."""
    return counted_step(model, ids)[0].get_total_flops() // 2


def counted_step(model: Any, ids: torch.Tensor) -> tuple[FlopCounterMode, Any]:
    """The same by kind of product, and the cache."""
    before: dict[str, Any] = {"input_ids": ids[:, :-1]}
    last: dict[str, Any] = {"input_ids": ids[:, -1:]}
    if model.config.is_encoder_decoder:
        before |= {"decoder_input_ids": ids[:, :-1]}
    with torch.no_grad():
        out = model(**before, use_cache=True)
        if model.config.is_encoder_decoder:
            read = MoEModelOutput(last_hidden_state=out.encoder_last_hidden_state)
            last = {"decoder_input_ids": ids[:, -1:], "encoder_outputs": read}
        name = "past_key_values" if "past_key_values" in out else "cache_params"
        with FlopCounterMode(display=False) as counter:
            model(**last, **{name: out[name]}, use_cache=True)
    return counter, out[name]


def prepared(tiny: Tiny, tmp_path: Path) -> tuple[Any, Path]:
    """The model as torch can count it, and its config."""
    model: Any = tiny.build()
    path = config_of(model, tmp_path)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    model.set_attn_implementation("eager")
    # A whole omni model has no pass, its thinker has.
    return getattr(model, "thinker", model), path


IDS = torch.arange(CONTEXT + 1)[None] + 3


@pytest.mark.parametrize("tiny", firsts(), ids=lambda tiny: tiny.name)
def test_a_token_costs_what_torch_counts(tiny: Tiny, tmp_path: Path) -> None:
    model, path = prepared(tiny, tmp_path)
    assert work_of(path, context=CONTEXT).decode == step(model, IDS) - MORE.get(tiny.name, 0)


def anew(module: Any) -> int:
    """What transformers multiplies more: keys and values of the tokens before, less what their latents take."""
    made = module.qk_nope_head_dim + module.v_head_dim
    apart = made * module.kv_lora_rank
    scored = 2 * module.kv_lora_rank - made
    return int(module.kv_b_proj.out_features // made * (CONTEXT * apart - (CONTEXT + 1) * scored))


def not_counted(counter: FlopCounterMode, cache: Any, each: int) -> int:
    """What torch does not count of recurrences, less a second column that it makes by a convolution and throws away."""
    columns = sum(
        flops // 2 for of, flops in counter.get_flop_counts()["Global"].items() if of is torch.ops.aten.convolution
    )
    memories = [memory for layer in cache.layers for memory in getattr(layer, "recurrent_states", {}).values()]
    elements = sum(int(memory.numel()) for memory in memories if memory is not None)
    return each * elements - int(columns) // 2


@pytest.mark.parametrize("name", sorted({*LATENT, *RECURRENT}))
def test_latents_and_recurrences_cost_what_torch_counts_and_what_it_does_not(name: str, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    # transformers scores all keys and hides those that an indexer leaves out: here it leaves out none.
    indexed = {"index_topk": 100} if "index_topk" in tiny.keys else {}
    model, path = prepared(replace(tiny, keys=tiny.keys | indexed), tmp_path)
    counter, cache = counted_step(model, IDS)
    expected = counter.get_total_flops() // 2
    if name in LATENT:
        expected -= sum(anew(module) for module in model.modules() if hasattr(module, "kv_b_proj"))
    if name in RECURRENT:
        expected += not_counted(counter, cache, RECURRENT[name])
    assert work_of(path, context=CONTEXT).decode == expected


# One of each way in which a token's work grows with those before it.
GROWING = ("llama", "mistral", "gemma2", "cohere2", "gpt_oss", "qwen2_moe", "bloom", "t5", "bart")


@pytest.mark.parametrize("name", GROWING)
def test_a_whole_context_costs_what_its_tokens_cost_one_by_one(name: str, tmp_path: Path) -> None:
    """Without the head of all but the last; keys and values of what an encoder read are made once, and not counted."""
    model: Any = next(tiny for tiny in TINY if tiny.name == name).build()
    path = config_of(model, tmp_path)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    model.set_attn_implementation("eager")
    ids = torch.arange(CONTEXT)[None] + 3
    other = sum(
        CONTEXT * parameter.numel()
        for of, parameter in model.named_parameters()
        if of.endswith(CROSS_KEYS) and "decoder" in of
    )
    with torch.no_grad():
        given, tokens = {}, "input_ids"
        if model.config.is_encoder_decoder:
            read = model.get_encoder()(input_ids=ids).last_hidden_state
            given, tokens = {"encoder_outputs": MoEModelOutput(last_hidden_state=read)}, "decoder_input_ids"
        with FlopCounterMode(display=False) as counter:
            cache = None
            for token in ids.T:
                out = model(**{tokens: token[None]}, **given, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
    heads = (CONTEXT - 1) * model.get_output_embeddings().weight.numel()
    assert work_of(path, context=CONTEXT).prefill == counter.get_total_flops() // 2 - heads - other


def test_streams_and_windows_of_deepseek_v4(tmp_path: Path) -> None:
    """Beside what torch counts: sums of streams and of windows, which transformers makes element by element."""
    tiny = next(tiny for tiny in TINY if tiny.name == "deepseek_v4")
    # transformers scores all compressed keys and hides those that the indexer leaves out: here it leaves out none.
    model: Any = replace(tiny, keys=tiny.keys | {"index_topk": 100}).build()
    path = config_of(model, tmp_path)
    model.set_experts_implementation("eager")
    # Eight halves of layers read 3 streams of 24 and write them, and the last mix reads them once more.
    streams = (8 * 2 + 1) * 3 * 24
    # Two layers compress keys of 10 and index keys of 8 with overlap, one keys of 10 without.
    windows = 2 * (2 * 10 + 2 * 8) + 10
    for context in (CONTEXT, 14):
        counted = step(model, torch.arange(context + 1)[None] + 3)
        assert work_of(path, context=context).decode == counted + streams + windows


def test_a_whole_context_by_hand() -> None:
    """fixtures/llama: matrices of attention and MLP, 3 layers of attention in 6 heads of 4, and the head."""
    root = Path(__file__).parents[2] / "fixtures" / "llama"
    matrices, head, attention = 4608 + 11232, 256 * 24, 3 * 6 * (4 + 4)
    found = work_of(root, context=10)
    assert found.decode == matrices + head + attention * 11
    assert found.prefill == 10 * matrices + head + attention * (10 * 11 // 2)
    # The step reads all matrices, norms and the head, and 10 tokens' state; of the embedding next to nothing.
    assert found.read == (28296 - 256 * 24) * 2 + 10 * 96
    assert found.intensity == round(2 * found.decode / found.read, 3)


def test_latents_are_not_made_into_keys_again(tmp_path: Path) -> None:
    """DeepSeek-V3: 128 heads score 512 + 64 elements of each of 100 tokens, and take 512 of them."""
    config = next(model["config"] for model in MODELS if model["model"] == "deepseek-ai/DeepSeek-V3-OME")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = work_of(tmp_path / "config.json", context=99)
    (attention,) = (row for row in found.rows if row.component == "attention")
    assert attention.context == 61 * 128 * (512 + 64 + 512) * 100
    # 37 B active parameters, of which the embedding of 129,280 by 7,168 is looked up and norms multiply nothing.
    active = weightscope.open(tmp_path / "config.json").parameters.active
    assert active
    assert sum(row.weights for row in found.rows) == pytest.approx(active - 129280 * 7168, rel=1e-4)


def test_a_window_bounds_the_work(tmp_path: Path) -> None:
    config = next(model["config"] for model in MODELS if model["model"] == "google/gemma-2-9b-it")
    (tmp_path / "config.json").write_text(json.dumps(config))
    short, long = (work_of(tmp_path / "config.json", context=context).decode for context in (4096, 8192))
    # Only 21 of 42 layers see more: 16 heads of 256, scores and shares.
    assert long - short == 21 * 16 * 512 * 4096


def test_how_long_reading_takes_at_least() -> None:
    """80 GB at 3.35 TB/s are read in 23.9 ms; two tensor ranks halve it, and a batch shares the weights."""
    root = Path(__file__).parents[2] / "fixtures" / "llama"
    one = work_of(root, context=10, gpu="h100")
    two = work_of(root, context=10, gpu="h100", gpus=2, batch=3)
    assert one.floor_seconds == one.read / 3.35e12
    assert two.floor_seconds == (one.read + 2 * 960) / 2 / 3.35e12
    assert work_of(root, context=10, gpu="80GB").floor_seconds is None
