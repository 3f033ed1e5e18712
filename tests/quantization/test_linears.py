"""A method that covers Linear modules leaves alone what is none: tables whose rows are looked up, norms of heads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import TINY
from tests.quantization.bench import Tensors, mixture, write

BY_NAME = {tiny.name: tiny for tiny in TINY}
BLOCKS = {"quant_method": "fp8", "weight_block_size": [8, 8]}
WEIGHTS = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True, "dynamic": False}
CHANNELS = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "config_groups": {"group_0": {"targets": ["Linear"], "weights": WEIGHTS}},
}
INT8 = {"quant_method": "bitsandbytes", "load_in_8bit": True}


def blocks(rows: int, columns: int) -> Tensors:
    return {
        ".weight": torch.ones(rows, columns).to(torch.float8_e4m3fn),
        ".weight_scale_inv": torch.ones(-(-rows // 8), -(-columns // 8)),
    }


def channels(rows: int, columns: int) -> Tensors:
    return {".weight": torch.ones(rows, columns).to(torch.float8_e4m3fn), ".weight_scale": torch.ones(rows, 1)}


def int8(rows: int, columns: int) -> Tensors:
    return {".weight": torch.ones(rows, columns, dtype=torch.int8), ".SCB": torch.ones(rows)}


FORMS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "fp8": (BLOCKS, "modules_to_not_convert", blocks),
    "compressed-tensors": (CHANNELS, "ignore", channels),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        "bert-base",  # token types
        "deberta", "mpnet",  # distances
        "gemma3n_text",  # embeddings for each layer
        "gemma4_text-shared",  # layers without keys and values of their own, which are declared and not there
        "cohere-norms",  # a norm with a row for each head
        "ovis2",  # a table of visual tokens
        "sam",  # points and labels
    ],
)  # fmt: skip
def test_tables_and_norms_are_no_linears(name: str, form: str, tmp_path: Path) -> None:
    settings, excluded, pack = FORMS[form]
    model = BY_NAME[name].build()
    linears = {module for module, kind in model.named_modules() if isinstance(kind, torch.nn.Linear)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path / "plain")
    tensors = load_file(tmp_path / "plain" / "model.safetensors")
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    heads = [module for module in linears if module.endswith("lm_head")]
    packed = dict(quantized(tensors, linears - {*heads}, pack))
    assert len(packed) > len(tensors)
    quantization = {"quantization_config": settings | {excluded: heads}}
    opened = weightscope.open(write(tmp_path / "packed", packed, config | quantization))
    before = weightscope.open(tmp_path / "plain")
    assert opened.parameters.total == before.parameters.total
    assert faults(opened) == faults(before)


def quantized(tensors: Tensors, modules: set[str], pack: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in tensors.items():
        module = name.removesuffix(".weight")
        if tensor.dim() == 2 and module in modules:
            yield from ((f"{module}{mark}", part) for mark, part in pack(*tensor.shape).items())
        else:
            yield name, tensor


def faults(model: weightscope.Model) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in model.check() if finding.severity != "info"]


@pytest.mark.parametrize(
    ("left", "sound"), [("", True), (".experts.", True), (".experts.0.up_proj", False)], ids=["none", "all", "some"]
)
def test_bitsandbytes_may_leave_all_experts_plain(left: str, sound: bool, tmp_path: Path) -> None:
    """As transformers 5 does, whose experts are stacks and no Linear modules; version 4 quantized each."""
    plain = mixture()
    modules = {
        n.removesuffix(".weight") for n in plain.tensors if n.endswith("_proj.weight") and not (left and left in n)
    }
    packed = dict(quantized(plain.tensors, modules, int8))
    model = weightscope.open(write(tmp_path, packed, plain.config | {"quantization_config": INT8}))
    assert model.parameters.total == plain.total
    assert [code for code, _ in faults(model)] == ([] if sound else ["quantization-mismatch"])
