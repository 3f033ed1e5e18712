"""Images of any size: two that are not square, by transformers' own model; every tensor of the eye matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError, WeightscopeError

SEEING = [
    tiny
    for tiny in TINY
    if tiny.kind.startswith(("Qwen", "Exaone4_5"))
    and tiny.model == "ForConditionalGeneration"
    and not any(word in tiny.kind for word in ("Omni", "Audio"))
]
GRIDS = torch.tensor([[1, 4, 6], [1, 10, 8]])
TOKENS = [3, 97, *[95] * 6, 98, 7, 9, 97, *[95] * 20, 98, 11, 12]


def pixels() -> torch.Tensor:
    count = int(GRIDS.prod(-1).sum())
    return torch.randn(count, 3 * 2 * 4 * 4, generator=torch.Generator().manual_seed(1))


def scaled(directory: Path, target: Path) -> Path:
    """The same model with weights under which the image matters."""
    return seeing.lively(directory, target)


def theirs(directory: Path, *, images: bool) -> torch.Tensor:
    ids = torch.tensor([TOKENS])
    inputs = {"pixel_values": pixels(), "image_grid_thw": GRIDS, "mm_token_type_ids": (ids == 95).int()}
    return seeing.theirs(directory, TOKENS if images else [1, 2, 3, 40, 50], inputs if images else None)


def ours(directory: Path) -> torch.Tensor:
    return seeing.ours(directory, TOKENS, {"pixel_values": pixels(), "image_grid_thw": GRIDS})


@pytest.mark.parametrize("tiny", SEEING, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = scaled(saved(tiny.name), tmp_path / "m")
    assert seeing.off(ours(directory), theirs(directory, images=True)) < 1e-4
    text = weightscope.open(directory).forward([1, 2, 3, 40, 50]).logits
    assert seeing.off(torch.as_tensor(text), theirs(directory, images=False)) < 1e-4


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "exaone4_5"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = scaled(saved(name), tmp_path / "m")
    names = [name for name in load_file(directory / "model.safetensors") if "visual" in name]
    inputs = {"pixel_values": pixels(), "image_grid_thw": GRIDS}
    assert not seeing.unmoving(directory, TOKENS, inputs, names)


@pytest.mark.parametrize(
    ("inputs", "tokens", "said"),
    [
        ({}, TOKENS, "stands for an image, and no image was given"),
        ({"pixel_values": pixels()}, TOKENS, "image_grid_thw is missing"),
        ({"image_grid_thw": GRIDS}, TOKENS, "pixel_values is missing"),
        ({"pixel_values": pixels(), "image_grid_thw": GRIDS}, TOKENS[1:-9], "image tokens"),
        ({"pixel_values": pixels()[1:], "image_grid_thw": GRIDS}, TOKENS, "pixel_values has shape"),
        ({"pixel_values": pixels(), "image_grid_thw": [[1, 3, 6]]}, TOKENS, "multiples of 2"),
        ({"pixel_values": pixels(), "image_grid_thw": [[1, 0, 6]]}, TOKENS, "an image has 1 to"),
        ({"pixel_values": pixels(), "image_grid_thw": [[1 << 40, 1 << 20, 6]]}, TOKENS, "an image has 1 to"),
        ({"pixel_values": pixels(), "image_grid_thw": [4, 6]}, TOKENS, "not [images, 3]"),
        ({"pixel_values": pixels(), "image_grid_thw": [[1, float("nan"), 6]]}, TOKENS, "contains NaN"),
        ({"pixel_values": pixels(), "image_grid_thw": [[1, float("inf"), 6]]}, TOKENS, "contains NaN"),
        ({"pixel_values": pixels() * float("nan"), "image_grid_thw": GRIDS}, TOKENS, "contains NaN"),
        ({"pixel_values": pixels(), "image_grid_thw": GRIDS, "cu_seqlens": [1]}, TOKENS, "does not take cu_seqlens"),
        ({}, [96, 1], "stands for a video"),
    ],
)
def test_what_does_not_fit_is_said(
    inputs: dict[str, Any], tokens: list[int], said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("qwen3_vl")).forward(tokens, **inputs)
    assert said in str(caught.value)


def test_a_text_model_takes_no_grid(saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="does not take image_grid_thw"):
        weightscope.open(saved("llama")).forward([1, 2], image_grid_thw=GRIDS)


SPELLINGS = {
    "qwen2_vl": {"visual.": "model.visual.", "model.": "model.language_model."},
    "qwen3_vl": {"model.visual.": "vision_tower.", "model.language_model.": "language_model.model.",
                 "lm_head.": "language_model.lm_head."},
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """As transformers 5 holds it in memory (Qwen2-VL), and as MLX has it (Qwen3-VL)."""
    directory = scaled(saved(name), tmp_path / "m")
    before, tensors = ours(directory), load_file(directory / "model.safetensors")
    renamed = {}
    for key, tensor in tensors.items():
        start = next((old for old in SPELLINGS[name] if key.startswith(old)), "")
        renamed[SPELLINGS[name].get(start, "") + key.removeprefix(start)] = tensor
    save_file(renamed, directory / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(directory)
    assert [finding.code for finding in model.check() if finding.severity == "error"] == []
    np.testing.assert_array_equal(ours(directory), before)


def test_published_experts_lie_turned(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """On the Hub Qwen3-VL-MoE's experts are (in, out), as transformers 5 saves them (out, in), by the same names."""
    directory = scaled(saved("qwen3_vl_moe"), tmp_path / "m")
    before, tensors = ours(directory), load_file(directory / "model.safetensors")
    turned = {n: t.transpose(1, 2).contiguous() if ".experts." in n else t for n, t in tensors.items()}
    save_file(turned, directory / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(directory)
    assert [finding.code for finding in model.check() if finding.severity == "error"] == []
    # Sums are taken in another order.
    assert seeing.off(ours(directory), before) < 1e-5


def test_flat_configs_are_read_as_nested_ones(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Qwen2-VL and Qwen2.5-VL are published with the language model's keys at the top level."""
    directory = scaled(saved("qwen2_5_vl"), tmp_path / "m")
    before = ours(directory)
    config = json.loads((directory / "config.json").read_text())
    text = {
        key: value for key, value in config.pop("text_config").items() if key not in ("model_type", "architectures")
    }
    (directory / "config.json").write_text(json.dumps(text | config))
    np.testing.assert_array_equal(ours(directory), before)


def test_a_model_without_its_tower_is_said_to_lack_it(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = scaled(saved("qwen2_vl"), tmp_path / "m")
    tensors = load_file(directory / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if "visual" not in n}, directory / "model.safetensors")
    model = weightscope.open(directory)
    assert {finding.code for finding in model.check() if finding.severity == "error"} == {"missing-tensor"}
    assert model.forward([1, 2, 3]).finite
    with pytest.raises(WeightscopeError, match="visual"):
        model.forward(TOKENS, pixel_values=pixels(), image_grid_thw=GRIDS)


@pytest.mark.parametrize("tiny", SEEING, ids=lambda tiny: tiny.name)
def test_eye_bridge_and_language_are_counted_apart(tiny: Any, saved: Callable[[str], Path]) -> None:
    """The mergers are the bridge, the rest of the tower is the eye, all else is language."""
    parameters = {name: p.numel() for name, p in tiny.build().named_parameters() if "visual" in name}
    bridge = sum(count for name, count in parameters.items() if "merger" in name)
    counted = {c.component: c.parameters for c in weightscope.open(saved(tiny.name)).components}
    assert (counted["vision"], counted["projector"]) == (sum(parameters.values()) - bridge, bridge)
