"""The declared maths against transformers: logits of every declared decoder, in several settings of its config."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.families.tiny import DEEPSEEK, ENDS, GPT2, LLAMA, TINY, YARN, Tiny
from tests.families.tiny_hybrids import PERTURBED
from weightscope.ranges import template_of

LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 3.0}
LONGROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.25], "long_factor": [1.5, 6.0],
}  # fmt: skip
MSCALE = {"mscale": 0.7, "mscale_all_dim": 1.3, "original_max_position_embeddings": 8}
MORE = [
    Tiny("llama-linear", "Llama", LLAMA | {"rope_parameters": LINEAR}),
    Tiny("llama-dynamic-short", "Llama", LLAMA | {"rope_parameters": DYNAMIC, "max_position_embeddings": 32}),
    Tiny("llama-dynamic-long", "Llama", LLAMA | {"rope_parameters": DYNAMIC, "max_position_embeddings": 4}),
    Tiny("phi3-longrope-short", "Phi3", LLAMA | {
        "rope_parameters": LONGROPE, "max_position_embeddings": 64, "original_max_position_embeddings": 16,
    }),
    Tiny("phi3-longrope-long", "Phi3", LLAMA | {
        "rope_parameters": LONGROPE, "max_position_embeddings": 64, "original_max_position_embeddings": 8,
    }),
    Tiny("llama-longrope-factors", "Llama", LLAMA | {
        "rope_parameters": LONGROPE | {"factor": 5.0, "original_max_position_embeddings": 8},
    }),
    Tiny("llama-longrope-attention", "Llama", LLAMA | {
        "rope_parameters": LONGROPE | {"attention_factor": 1.3, "original_max_position_embeddings": 12},
    }),
    Tiny("llama-llama3", "Llama", LLAMA | {"rope_parameters": LLAMA3}),
    Tiny("deepseek_v3-yarn", "DeepseekV3", DEEPSEEK | {"rope_parameters": YARN | MSCALE}),
    Tiny("deepseek_v3-halves", "DeepseekV3", DEEPSEEK | {"rope_interleave": False, "norm_topk_prob": False}),
    Tiny("phi3-partial", "Phi3", LLAMA | {"head_dim": 8, "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
    }}),
    Tiny("gpt_neox-whole", "GPTNeoX", LLAMA | {"rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0,
    }}),
    Tiny("gemma-gelu", "Gemma", LLAMA | {"head_dim": 10, "hidden_act": "gelu"}),
    Tiny("deepseek_v3-eps", "DeepseekV3", DEEPSEEK | {"rms_norm_eps": 1e-2}),
    Tiny("gpt2-unscaled", "GPT2", GPT2 | ENDS | {"scale_attn_weights": False}, "LMHeadModel"),
    Tiny("gpt2-by-layer", "GPT2", GPT2 | ENDS | {"scale_attn_by_inverse_layer_idx": True}, "LMHeadModel"),
    Tiny("llama-layer_types", "Llama", LLAMA | {"layer_types": ["sliding_attention"] * 3, "sliding_window": 4}),
    Tiny("gemma2-no-caps", "Gemma2", LLAMA | {
        "head_dim": 10, "attn_logit_softcapping": None, "final_logit_softcapping": None, "query_pre_attn_scalar": 7,
    }),
]  # fmt: skip
# BERT as a decoder is among the encoders, and Fuyu takes a token of these for an image's.
DECODERS = [t for t in [*TINY, *MORE] if t.model in ("ForCausalLM", "LMHeadModel") and t.kind not in ("Bert", "Fuyu")]
TOKENS = [7, 3, 99, 0, 42, 42, 17, 5, 88, 61, 2]


@pytest.mark.parametrize("tiny", DECODERS, ids=lambda tiny: tiny.name)
def test_logits(tiny: Tiny, tmp_path: Path) -> None:
    oracle = tiny.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.save_pretrained(tmp_path)
    # The fused kernel wants sizes that tiny experts do not have.
    oracle.config._experts_implementation = "eager"
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS]), use_cache=False).logits[0]
    logits = weightscope.open(tmp_path).forward(TOKENS).logits
    assert logits.dtype is torch.float32
    assert logits.shape == expected.shape
    bound = tiny.tolerance
    torch.testing.assert_close(logits, expected, rtol=bound, atol=bound * float(expected.abs().max()))
    assert float(expected.std()) > 1e-3


MATTER = [
    "llama-biases", "llama-tied", "mistral", "qwen2", "qwen3-tied-bias", "gpt2", "gpt2-inner-untied", "gpt_neox",
    "gpt_neox-no-bias", "bloom", "bloom-odd-heads-untied", "mixtral", "mixtral-top3", "deepseek_v3",
    "deepseek_v3-plain-queries", "deepseek_v3-bias", "gemma", "gemma-untied", "gemma2", "phi3",
    "cwm-biases-listed-tied", "youtu-halves-bias-untied", *PERTURBED,
]  # fmt: skip


@pytest.mark.parametrize("name", MATTER)
def test_every_kind_of_tensor_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Each changed in turn in the last layer that has it, of experts all at once: the logits must change."""
    tensors = load_file(saved(name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    layers: dict[str, list[str]] = {}
    for tensor in sorted(tensors):
        layers.setdefault(re.sub(r"experts\.\d+", "experts.{}", tensor), []).append(tensor)
    kinds = {template_of(names[0])[0]: names for names in layers.values()}

    shutil.copy(saved(name) / "model.safetensors", tmp_path)
    model = weightscope.open(tmp_path)

    def logits(changed: list[str]) -> torch.Tensor:
        noise = torch.Generator().manual_seed(1)
        with altered(tmp_path, {n: tensors[n] + torch.rand(tensors[n].shape, generator=noise) for n in changed}):
            return model.forward(TOKENS).logits

    before = logits([])
    unmoved = {kind for kind, names in kinds.items() if torch.allclose(logits(names), before, atol=1e-5)}
    assert unmoved == set()
    assert len(kinds) > 8


def test_experts_that_no_token_wants_do_not_matter(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Of one token: the two routed experts of a layer matter, all others are not even read."""
    tensors = load_file(saved("mixtral") / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("mixtral") / "config.json").read_bytes())
    before = weightscope.open(saved("mixtral")).forward([7]).logits
    moved = set()
    for expert in range(5):
        name = f"model.layers.2.block_sparse_moe.experts.{expert}.w2.weight"
        save_file(tensors | {name: tensors[name] + 1}, tmp_path / "model.safetensors")
        if not torch.allclose(weightscope.open(tmp_path).forward([7]).logits, before, atol=1e-5):
            moved.add(expert)
    assert len(moved) == 2


def test_yi_as_first_published(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Llama with norms of other names: the same weights give the same logits."""
    names = {"input_layernorm": "ln1", "post_attention_layernorm": "ln2"}
    renamed = load_file(saved("llama") / "model.safetensors")
    for theirs, own in names.items():
        renamed = {name.replace(theirs, own): tensor for name, tensor in renamed.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    config = json.loads((saved("llama") / "config.json").read_text())
    # Yi's class has other defaults: what the oracle was built with is said.
    config |= {"model_type": "Yi", "architectures": ["YiForCausalLM"], "rope_theta": 10000.0, "rms_norm_eps": 1e-6}
    config.pop("rope_parameters")
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = weightscope.open(saved("llama")).forward(TOKENS).logits
    assert torch.equal(weightscope.open(tmp_path).forward(TOKENS).logits, expected)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ([], "no tokens"),
        ([101], r"vocabulary \(0 to 100\)"),
        ([-1], "outside the vocabulary"),
        ([1] * 38, "37 learned"),
    ],
)
def test_tokens_that_cannot_be_run(tokens: list[int], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(saved("gpt2")).forward(tokens)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hidden_act": "mish"}, "'mish'"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "'longrope'.*'short_factor'"),
        ({"rope_parameters": {"rope_type": "spiral", "rope_theta": 1e4}}, "'spiral'"),
    ],
)
def test_maths_that_is_not_here_is_refused_by_name(
    config: dict[str, object], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved("llama") / "model.safetensors").read_bytes())
    keys = json.loads((saved("llama") / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(tmp_path).forward(TOKENS)


def test_a_missing_tensor_is_named(saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors = load_file(saved("llama") / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("llama") / "config.json").read_bytes())
    with pytest.raises(weightscope.WeightscopeError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        weightscope.open(tmp_path).forward(TOKENS)


def test_a_misshapen_tensor_is_named(saved: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved("llama") / "model.safetensors").read_bytes())
    keys = json.loads((saved("llama") / "config.json").read_text()) | {"num_key_value_heads": 3}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(weightscope.WeightscopeError, match=r"k_proj\.weight: all 3 are \[8, 24\]"):
        weightscope.open(tmp_path).forward(TOKENS)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gemma", {"hidden_act": "gelu"}),
        ("gemma2", {"hidden_act": "relu", "hidden_activation": "gelu_pytorch_tanh"}),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
        ("llama", {"partial_rotary_factor": 0.5}),
    ],
)
def test_configs_as_published(
    name: str, changes: dict[str, object], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Keys that transformers no longer writes, added to a saved config: it loads them as we read them."""
    from transformers import AutoModelForCausalLM

    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = AutoModelForCausalLM.from_pretrained(tmp_path)(torch.tensor([TOKENS])).logits[0]
    logits = weightscope.open(tmp_path).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
