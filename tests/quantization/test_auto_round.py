"""AutoRound against what its own modules store and compute (fixtures/quantized), and in whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.quantization import test_awq
from tests.quantization.bench import Tensors, check_bounds, check_sound, faults_of, llama, mixture, quantize
from tests.quantization.test_gptq import Packer
from tests.quantization.written import check_written, variants
from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.quantization.registry import method_of

VARIANTS = {title: written for title, written in variants("gptq").items() if title.startswith("auto-round")}
# As AutoRound 0.6 writes it, with much that does not matter here.
SETTINGS = {
    "quant_method": "auto-round", "autoround_version": "0.6.0", "packing_format": "auto_round:auto_gptq", "bits": 4,
    "group_size": 32, "sym": True, "data_type": "int", "act_bits": 16, "block_name_to_quantize": "model.layers",
    "iters": 200, "low_gpu_mem_usage": True, "enable_quanted_input": True,
}  # fmt: skip


def settings(**own: Any) -> dict[str, Any]:
    return {"quantization_config": SETTINGS | own}


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    """2 to 8 bits as one stream, with zero points as they are or less one."""
    check_written(VARIANTS[title])


@pytest.mark.parametrize("name", ["auto-round", "auto_round", "intel/auto-round", "inc"])
def test_names(name: str) -> None:
    method = method_of(Config(settings(quant_method=name))).method
    assert method is not None
    assert (method.name, method.missing) == ("auto-round", "")


@pytest.mark.parametrize(
    ("form", "packer"),
    [
        ("auto_round:auto_gptq", Packer(4, 32)), ("auto_round:gptq", Packer(2, 32)),
        ("auto_round", Packer(3, 32, short=0)),
    ],
)  # fmt: skip
def test_models_packed_as_gptq(form: str, packer: Packer, tmp_path: Path) -> None:
    model = quantize(llama(), packer, settings(packing_format=form, bits=packer.bits))
    check_sound(model, tmp_path)
    short = {name: tensor for name, tensor in model.tensors.items() if not name.endswith("g_idx")}
    check_sound(model._replace(tensors=short), tmp_path / "short")
    check_bounds(model, "model.layers.1.mlp.up_proj", tmp_path, marks=[".scales"], bad=[0.0])


@pytest.mark.parametrize("form", ["auto_round:auto_awq", "auto_round:awq"])
def test_models_packed_as_awq(form: str, tmp_path: Path) -> None:
    check_sound(quantize(llama(), test_awq.pack, settings(packing_format=form)), tmp_path)


def test_a_negative_scale_is_none_of_its_faults(tmp_path: Path) -> None:
    """Symmetric scales have the sign of the largest weight, also in what AutoRound exports for AutoGPTQ."""
    for name in ("auto-round", "gptq"):
        model = quantize(llama(), Packer(sym=True), settings(quant_method=name, sym=True))
        scale = "model.layers.0.mlp.up_proj.scales"
        tensors = model.tensors | {scale: -model.tensors[scale]}
        assert faults_of(tensors, model.config, tmp_path / name, values=True) == []


@pytest.mark.parametrize(
    "blocks",
    ["model.layers.1", "model.layers.1,vision.blocks", ["model.layers.1"], [["model.layers.1", "model.layers.1"]]],
)
def test_blocks_that_the_settings_name(blocks: Any, tmp_path: Path) -> None:
    own = settings(block_name_to_quantize=blocks)
    model = quantize(llama(), Packer(), own, covers=lambda module: ".1." in module and module.endswith("_proj"))
    check_sound(model, tmp_path)
    more = quantize(llama(), Packer(), own)
    assert {f.code for f in faults_of(more.tensors, more.config, tmp_path / "more")} == {"quantization-mismatch"}


def test_settings_of_single_modules(tmp_path: Path) -> None:
    """By name before patterns; 16 bits are plain; the head is quantized where it is named."""
    own = {
        r".*self_attn.*": {"bits": 8, "group_size": 64},
        "model.layers.0.self_attn.v_proj": {"bits": 16, "act_bits": 16},
        "model.layers.1.mlp.up_proj": {"bits": 2},
        "lm_head": {"bits": 4, "group_size": 32},
    }

    def pack(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
        bits = 2 if module.endswith("1.mlp.up_proj") else 4
        packer = Packer(8, -1 if shape[1] == 64 else 64) if "self_attn" in module else Packer(bits, 32)
        return packer(module, shape)

    def covers(module: str) -> bool:
        return module.endswith(("_proj", "lm_head")) and not module.endswith("0.self_attn.v_proj")

    check_sound(quantize(llama(vocab_size=128), pack, settings(extra_config=own), covers=covers), tmp_path)


def test_a_mixture_with_plain_routers_and_one_plain_expert(tmp_path: Path) -> None:
    out = "model.layers.0.mlp.experts.1.down_proj"
    routers = {f"model.layers.{layer}.mlp.gate": {"bits": 16} for layer in range(2)}
    own = settings(extra_config={out: {"bits": 16}, **routers})
    covers = lambda module: module.endswith("_proj") and module != out  # noqa: E731
    check_sound(quantize(mixture(), Packer(), own, covers=covers), tmp_path)


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({"data_type": "mx_fp"}, "mx_fp"), ({"packing_format": "auto_round:llm_compressor"}, "llm_compressor"),
        ({"bits": 9}, "9 bits"), ({"extra_config": {"(a+)+": {"bits": 16}}}, "(a+)+"),
        ({"packing_format": "auto_round:awq", "bits": 3}, "3 bits"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: dict[str, Any], missing: str) -> None:
    method = method_of(Config(settings(**own))).method
    assert method is not None
    assert missing in method.missing


@pytest.mark.parametrize(
    "own",
    [
        {"bits": None}, {"group_size": "32"}, {"extra_config": [1]}, {"extra_config": {"a": 4}}, {"packing_format": 4},
        {"block_name_to_quantize": 4}, {"block_name_to_quantize": [4]}, {"data_type": {}},
        {"extra_config": {"a": {"bits": "4"}}}, {"modules_to_not_convert": 5},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method_of(Config(settings(**own)))
