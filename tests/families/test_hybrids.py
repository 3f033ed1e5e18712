"""What the hybrids add: nothing to find in a sound model, and mixers that are accounted as what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_hybrids import TINY_HYBRIDS
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.walk import find
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.declaration import declare

# What only a mixer with a state or a convolution has.
MARK = re.compile(r"(.*\.)(A_log|conv(1d|_1d|)\.weight|time_decay|slope_rate)")
every_hybrid = pytest.mark.parametrize("tiny", TINY_HYBRIDS, ids=lambda tiny: tiny.name)


@every_hybrid
def test_check_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    findings = weightscope.open(saved(tiny.name)).check()
    assert [finding for finding in findings if finding.severity != "info"] == []


@every_hybrid
def test_mixers_are_accounted_to_the_state_space(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Every weight of a recurrent or convolutional module, but for its norms, and no other."""
    model = weightscope.open(saved(tiny.name))
    modules = tuple(found[1] for name in model.tensors if (found := MARK.fullmatch(name)))
    mixers = {name for name in model.tensors if name.startswith(modules) and "norm" not in name}
    assert mixers == {name for name, tensor in model.tensors.items() if tensor.component == "state_space"}
    assert mixers


@pytest.mark.parametrize(("name", "key"), [("lfm2-layer_types", "layer_types")])
def test_unknown_kinds_of_layers_are_refused_by_name(name: str, key: str, saved: Callable[[str], Path]) -> None:
    config = json.loads((saved(name) / "config.json").read_text())
    config[key][1] = "chunked_attention"
    with pytest.raises(UndeclaredError, match="chunked_attention"):
        declare(Config(config))


# The part that predicts further tokens as Qwen's published checkpoints spell it, in the sizes of the tiny models.
AHEAD = {
    "fc.weight": (24, 48), "norm.weight": (24,),
    "pre_fc_norm_embedding.weight": (24,), "pre_fc_norm_hidden.weight": (24,),
    "layers.0.input_layernorm.weight": (24,), "layers.0.post_attention_layernorm.weight": (24,),
    "layers.0.self_attn.q_proj.weight": (192, 24), "layers.0.self_attn.k_proj.weight": (32, 24),
    "layers.0.self_attn.v_proj.weight": (32, 24), "layers.0.self_attn.o_proj.weight": (24, 96),
    "layers.0.self_attn.q_norm.weight": (16,), "layers.0.self_attn.k_norm.weight": (16,),
    "layers.0.mlp.gate.weight": (9, 24), "layers.0.mlp.shared_expert_gate.weight": (1, 24),
    "layers.0.mlp.shared_expert.gate_proj.weight": (17, 24), "layers.0.mlp.shared_expert.up_proj.weight": (17, 24),
    "layers.0.mlp.shared_expert.down_proj.weight": (24, 17),
}  # fmt: skip
STACKED = {"layers.0.mlp.experts.gate_up_proj": (9, 28, 24), "layers.0.mlp.experts.down_proj": (9, 24, 14)}
APART = {
    f"layers.0.mlp.experts.{expert}.{name}_proj.weight": (24, 14) if name == "down" else (14, 24)
    for expert in range(9)
    for name in ("gate", "up", "down")
}


@pytest.mark.parametrize("experts", [STACKED, APART], ids=["stacked", "apart"])
def test_qwen3_5_as_it_lies_within_a_vision_language_model(
    experts: dict[str, tuple[int, ...]], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Another prefix, experts stacked, and a part that predicts further tokens, which a pass leaves out."""
    tiny = next(tiny for tiny in TINY_HYBRIDS if tiny.name == "qwen3_5_moe_text")
    oracle = tiny.build()
    state = {name.replace("model.", "model.language_model."): t for name, t in oracle.state_dict().items()}
    state |= {f"mtp.{name}": torch.zeros(shape) for name, shape in (AHEAD | experts).items()}
    save_file(state, tmp_path / "model.safetensors")
    config = json.loads((saved(tiny.name) / "config.json").read_text()) | {"mtp_num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = weightscope.open(tmp_path)
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    tokens = [7, 3, 99, 0]
    same = weightscope.open(saved(tiny.name)).forward(tokens).logits
    torch.testing.assert_close(model.forward(tokens).logits, same)


def test_the_part_of_qwen3_5_27b_that_predicts_ahead_is_as_large_as_published() -> None:
    """15 tensors, 424,699,392 elements, in the checkpoint that Qwen published."""
    config = {
        "model_type": "qwen3_5_text", "vocab_size": 248320, "hidden_size": 5120, "intermediate_size": 17408,
        "num_hidden_layers": 64, "num_attention_heads": 24, "num_key_value_heads": 4, "linear_num_value_heads": 48,
        "mtp_num_hidden_layers": 1,
    }  # fmt: skip
    declaration = declare(Config(config))
    assert declaration is not None
    ahead = [slot for slot in declaration.slots if slot.auxiliary and not slot.stored.optional]
    assert (len(ahead), sum(slot.stored.elements for slot in ahead)) == (15, 424699392)


def test_nemotron_h_in_its_older_spelling_and_the_layers_that_predict_ahead(saved: Callable[[str], Path]) -> None:
    """Letters for the kinds of layers; NVIDIA's names for what predicts the token after the next."""
    config = json.loads((saved("nemotron_h") / "config.json").read_text())
    whole = declare(Config(config))
    older = declare(Config({k: v for k, v in config.items() if "layer" not in k} | {
        "hybrid_override_pattern": "ME*-", "mtp_hybrid_override_pattern": "*E", "num_nextn_predict_layers": 1,
        "layer_norm_epsilon": 1e-5,
    }))  # fmt: skip
    assert whole is not None
    assert older is not None
    names = {name for slot in whole.slots for name in slot.names()}
    ahead = {name.removeprefix("mtp.") for slot in older.slots if slot.auxiliary for name in slot.names()}
    assert {name for slot in older.slots if not slot.auxiliary for name in slot.names()} == names
    assert {name for name in ahead if ".experts." not in name} == {
        "layers.0.eh_proj.weight", "layers.0.enorm.weight", "layers.0.hnorm.weight", "layers.0.norm.weight",
        "layers.0.mixer.q_proj.weight", "layers.0.mixer.k_proj.weight", "layers.0.mixer.v_proj.weight",
        "layers.0.mixer.o_proj.weight", "layers.1.norm.weight", "layers.1.mixer.gate.weight",
        "layers.1.mixer.gate.e_score_correction_bias", "layers.1.mixer.shared_experts.up_proj.weight",
        "layers.1.mixer.shared_experts.down_proj.weight", "layers.1.final_layernorm.weight",
    }  # fmt: skip
    assert "layers.1.mixer.experts.8.up_proj.weight" in ahead


def test_kimi_linear_as_published(saved: Callable[[str], Path]) -> None:
    """Sizes and layers in an object of their own, counted from 1; dense layers under their own name."""
    config = json.loads((saved("kimi_linear") / "config.json").read_text())
    sizes = {"head_dim": 7, "num_heads": 5, "short_conv_kernel_size": 4}
    dropped = ("layer_types", "mlp_layer_types", "linear_head_dim", "linear_num_heads", "linear_conv_kernel_dim")
    published = {key: value for key, value in config.items() if key not in dropped} | {
        "linear_attn_config": sizes | {"full_attn_layers": [2], "kda_layers": [1, 3, 4]}, "first_k_dense_replace": 1,
    }  # fmt: skip
    declaration = declare(Config(published))
    assert declaration is not None
    names = {name for slot in declaration.slots for name in slot.names()}
    stored = set(weightscope.open(saved("kimi_linear")).tensors)
    assert names == {name.replace("layers.0.block_sparse_moe.", "layers.0.mlp.") for name in stored}
    model = transformers.KimiLinearForCausalLM(transformers.KimiLinearConfig(**published))
    weights = (slot for slot in declaration.slots if slot.stored.kind != "buffer")
    assert sum(slot.stored.elements * slot.count for slot in weights) == model.num_parameters()


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("kimi_linear", {"mla_use_nope": False}, "mla_use_nope"),
        ("qwen3_5_text", {"attn_output_gate": False}, "attn_output_gate"),
        ("nemotron_h", {"attention_bias": True}, "attention_bias"),
        ("nemotron_h", {"layers_block_type": ["mamba", "hyena"]}, "hyena"),
        ("recurrent_gemma", {"block_types": ["hyena"]}, "hyena"),
    ],
)
def test_what_is_not_declared_is_refused_by_name(
    name: str, keys: dict[str, Any], said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UndeclaredError, match=said):
        declare(Config(json.loads((saved(name) / "config.json").read_text()) | keys))


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}


@pytest.mark.parametrize(
    "quantization", [{"quantization_config": FP8}, {"quantization": {"bits": 4, "group_size": 32}}], ids=["fp8", "mlx"]
)
def test_quantization_leaves_alone_what_is_no_module(
    quantization: dict[str, Any], saved: Callable[[str], Path]
) -> None:
    """Mamba's A is a matrix, and yet no linear layer."""
    # As wide as two of MLX's groups: what is no multiple of one stays as it is.
    keys = json.loads((saved("jamba") / "config.json").read_text()) | {"hidden_size": 64}
    declaration = declare(Config(keys | quantization))
    assert declaration is not None
    scaled = {slot.template.rpartition(".")[0] for slot in declaration.slots if slot.stored.kind == "scale"}
    assert "model.layers.{}.mamba.in_proj" in scaled
    assert not any("A_log" in name or name.endswith("mamba") for name in scaled)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@every_hybrid
def test_other_types_to_compute_in(tiny: Tiny, dtype: str, saved: Callable[[str], Path]) -> None:
    model, tokens = weightscope.open(saved(tiny.name)), [7, 3, 99, 0, 42]
    single = model.forward(tokens).output
    other = model.forward(tokens, compute_dtype=dtype, hold=True).output
    assert single is not None
    assert other is not None
    if dtype == "float64":
        torch.testing.assert_close(other, single, rtol=1e-4, atol=1e-4 * float(single.abs().max()))
    else:
        assert other.isfinite().all()


@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_mamba_with_the_embedding_as_its_authors_call_it(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    state = load_file(saved(name) / "model.safetensors")
    save_file({key.replace("embeddings.", "embedding."): t for key, t in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    model = weightscope.open(tmp_path)
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    torch.testing.assert_close(
        model.forward([7, 3, 99]).logits, weightscope.open(saved(name)).forward([7, 3, 99]).logits
    )


def test_lfm2_moe_divides_small_weights_as_its_class_does(saved: Callable[[str], Path]) -> None:
    """Where all sigmoids are tiny, what is added to their sum shows."""
    declaration = weightscope.open(saved("lfm2_moe")).declaration
    assert declaration is not None
    routing = next(find(declaration.tree, MixtureOfExperts)).routing
    tiny = next(tiny for tiny in TINY_HYBRIDS if tiny.name == "lfm2_moe")
    router = next(module for name, module in tiny.build().named_modules() if name.endswith("feed_forward.gate"))
    x = router.weight.detach().sum(0, keepdim=True) * -20
    with torch.no_grad():
        logits, expected, experts = router(x, torch.zeros(7))
    assert logits.max() < -8
    weights, chosen = routing.choose(logits, torch.zeros(7), 3)
    torch.testing.assert_close(weights, expected)
    assert chosen.tolist() == experts.tolist()
