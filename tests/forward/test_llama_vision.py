"""Llama 4 with two images of several tiles, by transformers' own model; every tensor of tower and bridge matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError

EYE = ("vision_model", "multi_modal_projector")
TEXT = [1, 2, 3, 40, 50]
# How many vectors a tile becomes.
EACH = {"llama4": 9, "llama4-unmerged-tied": 36}
BY_META = [tiny for tiny in TINY if tiny.name in EACH]


def tiles(count: int, side: int = 24) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


# Two tiles side by side with the whole picture, then a picture that is one tile.
LLAMA4: dict[str, Any] = {"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[1, 2], [1, 1]])}


def llama4_tokens(each: int) -> list[int]:
    return [3, *[95] * each, 60, *[95] * each, 61, 62, *[95] * each, 7, 9, *[95] * each, 11, 12]


@pytest.mark.parametrize(("name", "each"), EACH.items())
def test_llama4(name: str, each: int, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory, tokens = seeing.lively(saved(name), tmp_path / "m"), llama4_tokens(each)
    theirs = seeing.theirs(directory, tokens, {"pixel_values": LLAMA4["pixel_values"]})
    assert seeing.off(seeing.ours(directory, tokens, LLAMA4), theirs) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4
    names = [name for name in load_file(directory / "model.safetensors") if name.startswith(EYE)]
    assert not seeing.unmoving(directory, tokens, LLAMA4, names)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[1, 2]])}, "has 4 tiles, and aspect_ratios tells 3"),
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([1, 2])}, "not [images, 2]"),
        ({"pixel_values": tiles(4), "aspect_ratios": torch.tensor([[0, 2]])}, "at least 1"),
        ({"pixel_values": tiles(4, 20)}, "does not fit"),
        ({"aspect_ratios": torch.tensor([[1, 2]])}, "pixel_values is missing"),
    ],
)
def test_llama4_says_what_does_not_fit(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("llama4")).forward(llama4_tokens(9), **inputs)
    assert said in str(caught.value)


def apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Experts as modules of their own, as compressed-tensors needs them."""
    found = {}
    for name, tensor in tensors.items():
        head, dot, end = name.partition(".experts.")
        if not dot:
            found[name] = tensor
            continue
        for number, matrix in enumerate(tensor):
            parts = matrix.T.chunk(2) if end == "gate_up_proj" else (matrix.T,)
            roles = ("gate_proj", "up_proj") if end == "gate_up_proj" else ("down_proj",)
            for role, part in zip(roles, parts, strict=True):
                found[f"{head}.experts.{number}.{role}.weight"] = part.contiguous()
    return found


def by_mlx(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As mlx-lm's `Model.sanitize` has it: without a tower, and with experts (E, out, in) for each role."""
    found = {}
    for name, tensor in tensors.items():
        head, dot, end = name.partition(".experts.")
        if name.startswith(EYE):
            continue
        if not dot:
            found[name] = tensor
        elif end == "down_proj":
            found[f"{name}.weight"] = tensor.transpose(1, 2).contiguous()
        else:
            for role, part in zip(("gate_proj", "up_proj"), tensor.chunk(2, dim=-1), strict=True):
                found[f"{head}.experts.{role}.weight"] = part.transpose(1, 2).contiguous()
    return found


@pytest.mark.parametrize("convert", [apart, by_mlx])
def test_llama4_s_experts_in_other_layouts(
    convert: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved("llama4"), tmp_path / "m")
    before, path = seeing.ours(directory, TEXT), directory / "model.safetensors"
    save_file(convert(load_file(path)), path, metadata={"format": "pt"})
    assert [finding for finding in weightscope.open(directory).check() if finding.severity == "error"] == []
    assert seeing.off(seeing.ours(directory, TEXT), before) < 1e-5
