"""A model with its adapter is the same as its merge, and a merge without the adapter is a LoRA of its rank."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import weightscope
from tests.adapters.peft_files import PEFT, base_of


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """W + alpha / r · B·A, by hand."""
    base = base_of("lora")
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    settings = json.loads((PEFT / "lora" / "adapter_config.json").read_text())
    adapter = load_file(PEFT / "lora" / "adapter_model.safetensors")
    tensors = load_file(base / "model.safetensors")
    for name, down in adapter.items():
        if name.endswith("lora_A.weight"):
            weight = name.removeprefix("base_model.model.").replace("lora_A.", "")
            up = adapter[name.replace("lora_A", "lora_B")]
            tensors[weight] = tensors[weight] + settings["lora_alpha"] / settings["r"] * up @ down
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def test_with_the_adapter_it_is_the_same(merged: Path) -> None:
    found = weightscope.diff(base_of("lora"), merged, values=True, adapter=PEFT / "lora")
    assert found.verdict.kind in ("same-weights", "rounded", "identical"), found.verdict
    without = weightscope.diff(base_of("lora"), merged, values=True)
    assert without.verdict.kind not in ("same-weights", "rounded", "identical")


def test_another_adapter_is_not(merged: Path) -> None:
    found = weightscope.diff(base_of("lora"), merged, values=True, adapter=PEFT / "patterns")
    assert found.verdict.kind not in ("same-weights", "rounded", "identical")


def test_what_is_no_adapter(merged: Path) -> None:
    with pytest.raises(weightscope.WeightscopeError, match="no adapter"):
        weightscope.diff(base_of("lora"), merged, values=True, adapter=merged)
