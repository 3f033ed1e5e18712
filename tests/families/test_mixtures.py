"""What is special to mixtures: experts that a token leaves out, and their two layouts on disk."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

import weightscope
from tests.altered import altered
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_mixtures import GPT_OSS, TINY_MIXTURES
from weightscope.analyses.forward import stream
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.values import load_torch
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.walk import find
from weightscope.config import Config
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import declare
from weightscope.ranges import template_of
from weightscope.storage.base import Kind

TOKENS = [7, 3, 99, 0, 42, 42, 17, 5, 88, 61, 2]


FIRST = ("mixtral", "deepseek_v3")
MIXTURES = [*(tiny for tiny in TINY if tiny.name.startswith(FIRST)), *TINY_MIXTURES]
every_mixture = pytest.mark.parametrize("tiny", MIXTURES, ids=lambda tiny: tiny.name)


@every_mixture
def test_active_leaves_out_the_experts_that_a_token_does_not_use(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Counted on transformers' own modules: its packed experts have the expert as their first dimension."""
    oracle = tiny.build()
    config = oracle.config
    experts = [parameter for name, parameter in oracle.named_parameters() if ".experts." in name]
    count, chosen = len(experts[0]), getattr(config, "num_experts_per_tok", 0)
    if tiny.kind == "Dbrx":
        count, chosen = config.ffn_config.moe_num_experts, config.ffn_config.moe_top_k
    chosen = chosen[0] if isinstance(chosen, list) else chosen
    unused = sum(parameter.numel() * (count - chosen) // count for parameter in experts)
    assert unused
    model = weightscope.open(saved(tiny.name))
    assert model.parameters.active == oracle.num_parameters() - unused
    assert model.declaration is not None
    for mixture in find(model.declaration.tree, MixtureOfExperts):
        assert (mixture.chosen, mixture.experts) == (chosen, count)


@every_mixture
def test_experts_stacked_as_in_memory_are_read_as_well(
    tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whoever saves a state dict of transformers 5 has the names that it holds in memory."""
    published = load_file(saved(tiny.name) / "model.safetensors")
    state = {name: tensor.contiguous() for name, tensor in tiny.build().state_dict().items()}
    if state.keys() == published.keys():
        pytest.skip("in memory as on disk")
    if not {"lm_head.weight", "head.weight"} & published.keys():
        del state["lm_head.weight"]
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    save_file(state, tmp_path / "model.safetensors")
    apart, stacked = weightscope.open(saved(tiny.name)), weightscope.open(tmp_path)
    assert stacked.summary().tensors.unrecognized == ()
    assert [finding for finding in stacked.check() if finding.severity != "info"] == []
    assert (stacked.parameters.total, stacked.parameters.active) == (apart.parameters.total, apart.parameters.active)
    torch.testing.assert_close(stacked.forward(TOKENS).logits, apart.forward(TOKENS).logits, rtol=0, atol=0)


@every_mixture
def test_check_of_a_tiny_model_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    assert [finding for finding in weightscope.open(saved(tiny.name)).check() if finding.severity != "info"] == []


@every_mixture
def test_weights_held_in_memory_give_the_same(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved(tiny.name))
    once, held = model.forward(TOKENS).output, model.forward(TOKENS, hold=True).output
    torch.testing.assert_close(held, once, rtol=1e-5, atol=1e-6)


PERTURBED = ["qwen2_moe", "qwen3_moe", "deepseek_v2-biases-yarn", "deepseek_v32-listed", "glm_moe_dsa-shared"]
PERTURBED += ["gpt_oss", "olmoe", "phimoe-biases-window", "glm4_moe-norms-bias", "minimax_m2", "granitemoeshared"]
PERTURBED += ["dbrx", "exaone_moe", "ernie4_5_moe-biases", "hunyuan_v1_moe-bias-listed", "llama4_text-plain-listed"]
PERTURBED += ["dots1", "solar_open-bias-tied", "afmoe-mup-bias", "cohere2_moe-shared-untied", "hy_v3-biases-listed"]
PERTURBED += ["mimo_v2_flash-bias-scaled", "longcat_flash-bias-yarn-tied"]


@pytest.mark.parametrize("name", PERTURBED)
def test_every_tensor_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Each kind of tensor changed in turn, in all layers and experts: the logits must change."""
    tensors = load_file(saved(name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    kinds: dict[str, list[str]] = {}
    for tensor in tensors:
        kinds.setdefault(template_of(tensor)[0], []).append(tensor)

    shutil.copy(saved(name) / "model.safetensors", tmp_path)
    model = weightscope.open(tmp_path)

    def logits(changed: list[str]) -> torch.Tensor:
        noise = torch.Generator().manual_seed(1)
        with altered(tmp_path, {n: tensors[n] + torch.rand(tensors[n].shape, generator=noise) for n in changed}):
            return model.forward(TOKENS).logits

    before = logits([])
    unmoved = [kind for kind, names in kinds.items() if torch.allclose(logits(names), before, atol=1e-5)]
    assert unmoved == []


def packed(directory: Path, target: Path) -> dict[str, torch.Tensor]:
    """Save a tiny gpt-oss again as it is published: random MXFP4 experts; the 16-bit experts that they stand for."""
    tensors = load_file(directory / "model.safetensors")
    noise = torch.Generator().manual_seed(0)
    plain = dict(tensors)
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, columns, rows = tensors.pop(name).shape
        shape = (experts, rows, columns // 32, 16)
        blocks = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
        scales = torch.randint(122, 126, shape[:-1], dtype=torch.uint8, generator=noise)
        tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        plain[name] = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    save_file(tensors, target / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    config["quantization_config"] = {"modules_to_not_convert": kept, "quant_method": "mxfp4"}
    (target / "config.json").write_text(json.dumps(config))
    return plain


def test_gpt_oss_as_published(tmp_path: Path) -> None:
    """MXFP4 experts are counted, checked and run as the weights that they stand for."""
    tiny = Tiny("", "GptOss", GPT_OSS | {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2})
    oracle = tiny.build()
    directory, target = tmp_path / "plain", tmp_path / "packed"
    oracle.save_pretrained(directory)
    target.mkdir()
    oracle.load_state_dict(packed(directory, target), strict=True)
    model = weightscope.open(target)
    summary = model.summary()
    assert (summary.model.quantization, summary.tensors.unrecognized) == ("mxfp4", ())
    assert model.parameters.total == oracle.num_parameters()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    oracle.config._experts_implementation = "eager"
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    for hold in (False, True):
        logits = model.forward(TOKENS, hold=hold).logits
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_mxfp4_without_its_config_is_said_and_counted(tmp_path: Path) -> None:
    tiny = Tiny("", "GptOss", GPT_OSS | {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2})
    oracle = tiny.build()
    directory, target = tmp_path / "plain", tmp_path / "packed"
    oracle.save_pretrained(directory)
    target.mkdir()
    packed(directory, target)
    (target / "config.json").write_bytes((directory / "config.json").read_bytes())
    model = weightscope.open(target)
    assert model.parameters.total == oracle.num_parameters()
    (finding,) = [finding for finding in model.check() if finding.severity != "info"]
    assert (finding.code, finding.severity) == ("quantization-mismatch", "error")
    assert "MXFP4" in finding.message
    told = model.forward(TOKENS).logits
    config = json.loads((directory / "config.json").read_text()) | {"quantization_config": {"quant_method": "mxfp4"}}
    (target / "config.json").write_text(json.dumps(config))
    assert torch.equal(told, weightscope.open(target).forward(TOKENS).logits)


@pytest.mark.parametrize("damage", ["exponents", "plain"])
def test_check_sees_mxfp4_that_is_not_what_the_config_says(damage: str, tmp_path: Path) -> None:
    tiny = Tiny("", "GptOss", GPT_OSS | {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2})
    directory, target = tmp_path / "plain", tmp_path / "packed"
    tiny.build().save_pretrained(directory)
    target.mkdir()
    packed(directory, target)
    if damage == "plain":
        (target / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes())
    else:
        tensors = load_file(target / "model.safetensors")
        name = "model.layers.1.mlp.experts.down_proj_scales"
        tensors[name] = tensors[name][:, :, :1].contiguous()
        save_file(tensors, target / "model.safetensors")
    found = {finding.code for finding in weightscope.open(target).check() if finding.severity == "error"}
    assert "quantization-mismatch" in found


def test_a_bias_beside_quantized_weights_is_read_as_it_is(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """GLM-4.5's FP8 checkpoints have biases on matrices that have scales."""
    tensors = load_file(saved("glm4_moe-norms-bias") / "model.safetensors")
    config = json.loads((saved("glm4_moe-norms-bias") / "config.json").read_text())
    names = [name for name in tensors if name.endswith(("_proj.weight",))]
    plain = dict(tensors)
    for name in names:
        tensors[name] = tensors[name].to(torch.float8_e4m3fn)
        blocks = [-(-size // 16) for size in tensors[name].shape]
        tensors[f"{name}_scale_inv"] = torch.full(blocks, 0.5)
        plain[name] = tensors[name].float() * 0.5
    save_file(plain, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = weightscope.open(tmp_path).forward(TOKENS).logits
    save_file(tensors, tmp_path / "model.safetensors")
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [16, 16]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity == "error"] == []
    torch.testing.assert_close(model.forward(TOKENS).logits, expected)


OLD_YARN = {
    "type": "yarn", "factor": 4.0, "mscale": 0.7, "mscale_all_dim": 1.3, "original_max_position_embeddings": 8,
    "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("minimax_m2", {"rope_theta": 1e4, "rotary_dim": 6}),
        ("minimax_m2", {"rope_theta": 1e4, "rotary_dim": 6, "partial_rotary_factor": 0.8}),
        ("glm4_moe-norms-bias", {"rope_theta": 1e3}),
        ("glm4_moe-norms-bias", {"rope_theta": 1e3, "partial_rotary_factor": 0.8}),
        ("deepseek_v2", {"rope_theta": 1e4, "rope_scaling": OLD_YARN}),
        ("gpt_oss", {"rope_theta": 1e4}),
        ("phimoe", {}),
    ],
)
def test_rotations_as_published(
    name: str, changes: dict[str, object], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Configs before `rope_parameters`, and what a class takes where they say nothing."""
    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text())
    del keys["rope_parameters"]
    (tmp_path / "config.json").write_text(json.dumps(keys | changes))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = AutoModelForCausalLM.from_pretrained(tmp_path)
        oracle.config._experts_implementation = "eager"
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    logits = weightscope.open(tmp_path).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


GPT_OSS_20B = {
    "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "num_hidden_layers": 24, "num_local_experts": 32,
    "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "num_experts_per_tok": 4,
    "quantization_config": {"quant_method": "mxfp4"},
}  # fmt: skip


@pytest.mark.parametrize(("layers", "experts", "total", "active"), [(24, 32, 20.91, 3.61), (36, 128, 116.83, 5.13)])
def test_gpt_oss_has_the_parameters_of_its_model_card(layers: int, experts: int, total: float, active: float) -> None:
    """In billions; the card (arXiv 2508.10925, table 1) leaves the embedding out of what is active."""
    config = GPT_OSS_20B | {"num_hidden_layers": layers, "num_local_experts": experts}
    declaration = declare(Config(config))
    assert declaration is not None
    weights = [slot for slot in declaration.slots if slot.stored.kind in (Kind.WEIGHT, Kind.BIAS)]
    counted = {slot.template: slot.stored.logical * slot.count for slot in weights}
    used = [counted[slot.template] * slot.chosen[0] // slot.chosen[1] for slot in weights]
    assert round(sum(counted.values()) / 1e9, 2) == total
    assert round((sum(used) - counted["model.embed_tokens.weight"]) / 1e9, 2) == active


def test_gpt_oss_is_named_and_shaped_as_published() -> None:
    declaration = declare(Config(GPT_OSS_20B))
    assert declaration is not None
    shapes = {slot.template: tuple(slot.stored.shape) for slot in declaration.slots if ".experts." in slot.template}
    assert shapes == {
        "model.layers.{}.mlp.experts.gate_up_proj_blocks": (32, 5760, 90, 16),
        "model.layers.{}.mlp.experts.gate_up_proj_scales": (32, 5760, 90),
        "model.layers.{}.mlp.experts.gate_up_proj_bias": (32, 5760),
        "model.layers.{}.mlp.experts.down_proj_blocks": (32, 2880, 90, 16),
        "model.layers.{}.mlp.experts.down_proj_scales": (32, 2880, 90),
        "model.layers.{}.mlp.experts.down_proj_bias": (32, 2880),
    }


@pytest.mark.parametrize("name", ["gpt_oss", "granitemoe", "dbrx", "llama4_text"])
def test_of_stacked_experts_one_is_read_at_a_time(
    name: str, saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Experts that no token wants are not read at all."""
    model = weightscope.open(saved(name))
    declaration = model.declaration
    assert declaration is not None
    stacks = {n: s.stored for s in declaration.slots if s.chosen != (1, 1) for n in s.names()}
    spans = {model.tensors[n].entry.data_offsets[0]: (n, stored) for n, stored in stacks.items()}
    mixture = next(find(declaration.tree, MixtureOfExperts))
    reads: list[str] = []

    def load(files: Any, entry: TensorEntry, rows: slice | None = None, *, pinned: bool) -> Any:
        if entry.data_offsets[0] in spans:
            stack, stored = spans[entry.data_offsets[0]]
            assert rows is not None
            assert (rows.stop - rows.start) * mixture.experts == stored.shape[0]
            reads.append(f"{stack}[{rows.start}]")
        return load_torch(files, entry, rows, pinned=pinned)

    monkeypatch.setattr(stream, "load_torch", load)
    model.forward([7])
    assert len(set(reads)) == len(reads) == len(stacks) * mixture.chosen


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("hunyuan_v1_moe", {"moe_topk": [1, 2, 2]}, "moe_topk that differs by layer"),
        ("glm_moe_dsa", {"indexer_types": ["shared", "full", "full"]}, "first layer"),
        ("glm_moe_dsa", {"indexer_types": ["full"]}, "indexer_types"),
        ("qwen3_moe", {"mlp_only_layers": ["1"]}, "mlp_only_layers"),
        ("deepseek_v32", {"mlp_layer_types": ["dense"]}, "mlp_layer_types"),
        ("llama4_text", {"no_rope_layers": [1]}, "no_rope_layers"),
        ("llama4_text", {"layer_types": ["full_attention"]}, "layer_types"),
        ("hunyuan_v1_moe", {"num_experts": "many"}, "num_experts"),
    ],
)
def test_what_is_not_declared_is_refused_by_name(
    name: str, changes: dict[str, object], said: str, saved: Callable[[str], Path]
) -> None:
    keys = json.loads((saved(name) / "config.json").read_text())
    with pytest.raises(WeightscopeError, match=said):
        declare(Config(keys | changes))


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("deepseek_v2", {"topk_method": "noaux_tc"}, "noaux_tc"),
        ("deepseek_v2", {"norm_topk_prob": True}, "norm_topk_prob"),
        ("phimoe", {"num_experts_per_tok": 3}, "num_experts_per_tok"),
    ],
)
def test_what_names_do_not_depend_on_is_refused_by_the_pass_alone(
    name: str, changes: dict[str, object], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    keys = json.loads((saved(name) / "config.json").read_text()) | changes
    shutil.copytree(saved(name), tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(keys))
    model = weightscope.open(tmp_path / "model")
    assert model.parameters.total == weightscope.open(saved(name)).parameters.total
    with pytest.raises(WeightscopeError, match=said):
        model.forward([1, 2])


def test_ernie_4_5_ahead_as_published() -> None:
    """The names of ERNIE-4.5-21B-A3B-PT's index; transformers leaves these tensors unread."""
    config: dict[str, object] = {"num_hidden_layers": 3, "hidden_size": 24, "vocab_size": 101, "num_attention_heads": 6}
    config |= {"model_type": "ernie4_5_moe", "num_nextn_predict_layers": 1, "intermediate_size": 52}
    declaration = declare(Config(config | {"num_key_value_heads": 2}))
    assert declaration is not None
    slots = [slot for slot in declaration.slots if slot.auxiliary and not slot.stored.optional]
    ahead = {name: tuple(slot.stored.shape) for slot in slots for name in slot.names()}
    assert ahead == {
        "model.mtp_emb_norm.0.weight": (24,),
        "model.mtp_hidden_norm.0.weight": (24,),
        "model.mtp_linear_proj.0.weight": (24, 48),
        "model.mtp_block.0.input_layernorm.weight": (24,),
        "model.mtp_block.0.self_attn.q_proj.weight": (24, 24),
        "model.mtp_block.0.self_attn.k_proj.weight": (8, 24),
        "model.mtp_block.0.self_attn.v_proj.weight": (8, 24),
        "model.mtp_block.0.self_attn.o_proj.weight": (24, 24),
        "model.mtp_block.0.post_attention_layernorm.weight": (24,),
        "model.mtp_block.0.mlp.gate_proj.weight": (52, 24),
        "model.mtp_block.0.mlp.up_proj.weight": (52, 24),
        "model.mtp_block.0.mlp.down_proj.weight": (24, 52),
    }


def test_axk1_as_published(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Without corrections, and with a norm in dense layers that transformers ignores: its comments and patterns say so.

    transformers takes corrections of 0 then.
    """
    tensors = {
        name: t for name, t in load_file(saved("axk1") / "model.safetensors").items() if "correction" not in name
    }
    extra = "model.layers.0.post_mlp_layernorm.weight"
    assert extra not in tensors
    save_file(tensors | {extra: torch.rand(24)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((saved("axk1") / "config.json").read_bytes())
    oracle = AutoModelForCausalLM.from_pretrained(tmp_path)
    for layer in oracle.model.layers[1:]:
        layer.mlp.gate.e_score_correction_bias.zero_()
    model = weightscope.open(tmp_path)
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with torch.no_grad():
        oracle.config._experts_implementation = "eager"
        expected = oracle(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(
        model.forward(TOKENS).logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
    )


def test_mellum_ahead_as_published(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Names that transformers' conversion mapping of `MtpModel` gives for Mellum's layout; the layer is a mixture."""
    tensors = load_file(saved("mellum") / "model.safetensors")
    first = {name.replace("model.layers.0.", ""): t for name, t in tensors.items() if "model.layers.0." in name}
    assert "mlp.experts.0.gate_proj.weight" in first
    ahead = {f"mtp.layers.0.{name}": tensor.clone() for name, tensor in first.items()}
    ahead |= {f"mtp.{name}.weight": torch.rand(24) for name in ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden")}
    ahead["mtp.fc.weight"] = torch.rand(24, 48)
    save_file(tensors | ahead, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((saved("mellum") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_nextn_predict_layers": 1}))
    model = weightscope.open(tmp_path)
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.auxiliary == sum(tensor.numel() for tensor in ahead.values())
