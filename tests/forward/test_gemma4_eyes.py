"""Gemma 4 and its 12B without towers: two images that are not square and text alone; every tensor matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_gemma_eyes import GEMMA4, IDS, PATCHES, TOWER, UNIFIED, WHOLE
from tests.forward import seeing
from weightscope.errors import UsageError

MORE = [
    Tiny("gemma4-narrow-window", "Gemma4", IDS | {
        "text_config": GEMMA4 | {"sliding_window": 2}, "vision_config": TOWER | {"rope_parameters": {
            "rope_type": "axial", "rope_theta": 7.0,
        }},
    }, WHOLE),
    Tiny("gemma4_unified-narrow-window", "Gemma4Unified", IDS | {
        "text_config": UNIFIED | {"sliding_window": 2}, "vision_config": PATCHES,
    }, WHOLE),
]  # fmt: skip
SEEING = [t for t in TINY if t.kind in ("Gemma4", "Gemma4Unified") and "vision_config" in t.keys]
COMPUTED = [*SEEING, *MORE, *(t for t in TINY if t.name == "gemma4-blind")]
TEXT = [1, 2, 3, 40, 50, 9, 8, 7]


def inputs(tiny: Tiny) -> dict[str, torch.Tensor]:
    """Two images of other shapes, the smaller one filled up."""
    sizes, merged = [(2, 4), (6, 4)], tiny.kind == "Gemma4"
    values = 12 if merged else 48
    most = max(width * height for width, height in sizes)
    pixels = torch.rand(2, most, values, generator=torch.Generator().manual_seed(1))
    places = torch.full((2, most, 2), -1)
    for number, (width, height) in enumerate(sizes):
        grid = [[x, y] for y in range(height) for x in range(width)]
        places[number, : len(grid)] = torch.tensor(grid)
        pixels[number, len(grid) :] = 0
    return {"pixel_values": pixels, "image_position_ids": places}


def tokens(tiny: Tiny) -> list[int]:
    each = (2, 6) if tiny.kind == "Gemma4" else (8, 24)
    return [3, 98, *[95] * each[0], 99, 7, 9, 98, *[95] * each[1], 99, 11, 12]


def theirs(directory: Path, ids: list[int], images: dict[str, torch.Tensor] | None) -> torch.Tensor:
    kinds: dict[str, Any] = {} if images is None else {"mm_token_type_ids": (torch.tensor([ids]) == 95).int()}
    return seeing.theirs(directory, ids, kinds | (images or {}))


def made(tiny: Tiny, tmp_path: Path) -> Path:
    """With bounds that bind, and statistics of features."""
    tiny.build().save_pretrained(tmp_path / "as built")
    directory = seeing.lively(tmp_path / "as built", tmp_path / "m")
    tensors, generator = load_file(directory / "model.safetensors"), torch.Generator().manual_seed(4)
    for name, tensor in tensors.items():
        if name.endswith(("_min", "_max")):
            tensors[name] = torch.tensor((-1.0 if name.endswith("_min") else 1.0) * (0.9 if "input" in name else 0.8))
        elif ".std_" in name or "layer_scalar" in name:
            tensors[name] = torch.rand(tensor.shape, generator=generator) + 0.5
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


@pytest.mark.parametrize("tiny", COMPUTED, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Tiny, tmp_path: Path) -> None:
    directory = made(tiny, tmp_path)
    assert seeing.off(seeing.ours(directory, TEXT), theirs(directory, TEXT, None)) < 1e-4
    if "vision_config" in tiny.keys:
        ids, images = tokens(tiny), inputs(tiny)
        found = seeing.ours(directory, ids, images)
        assert seeing.off(found, theirs(directory, ids, images)) < 1e-4
        other = images | {"pixel_values": images["pixel_values"].flip(1)}
        assert seeing.off(seeing.ours(directory, ids, other), found) > 1e-2


@pytest.mark.parametrize("name", ["gemma4", "gemma4-clipped", "gemma4_unified"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(name: str, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    directory = made(tiny, tmp_path)
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        if "vision" in name and not name.endswith(("_min", "_max"))
    ]
    assert len(names) > 7
    assert not seeing.unmoving(directory, tokens(tiny), inputs(tiny), names)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_position_ids": None}, "image_position_ids is missing"),
        ({"pixel_values": torch.zeros(2, 24, 13)}, "pixel_values has shape [2, 24, 13], not [images, patches, 12]"),
        ({"image_position_ids": torch.zeros(2, 23, 2)}, "image_position_ids has shape [2, 23, 2], but pixel_values"),
        ({"image_position_ids": torch.zeros(2, 24, 2)}, "image_position_ids of an image are no grid of patches"),
        ({"image_position_ids": torch.full((2, 24, 2), -1)}, "are no grid of patches"),
        ({"image_position_ids": torch.full((2, 24, 2), 1 << 40)}, "are no grid of patches"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == "gemma4")
    given = {name: value for name, value in (inputs(tiny) | change).items() if value is not None}
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("gemma4")).forward(tokens(tiny), **given)
    assert said in str(caught.value)


@pytest.mark.parametrize("token", [96, 97])
def test_what_is_not_implemented_is_refused_by_its_token(token: int, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="stands for"):
        weightscope.open(saved("gemma4")).forward([1, token])


def test_eye_ear_bridge_and_language_are_counted_apart(saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == "gemma4")
    parameters = {name: p.numel() for name, p in tiny.build().named_parameters()}
    counted = {c.component: c.parameters for c in weightscope.open(saved("gemma4")).components}
    for component, part in (("vision", "vision_tower"), ("audio", "audio_tower"), ("projector", ".embed_")):
        assert counted[component] == sum(n for name, n in parameters.items() if part in name and "tokens" not in name)


SPELLINGS = {
    "gemma4": {"model.language_model.": "language_model.model.", "lm_head.": "language_model.lm_head.", "model.": ""},
    "gemma4_unified": {"model.vision_embedder.": "model.embed_vision.", "model.embed_vision.":
                       "model.embed_vision.multimodal_embedder."},
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """MLX's (Gemma 4), and as transformers 5 holds it in memory (Gemma 4 12B)."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    before, renamed = seeing.ours(saved(name), tokens(tiny), inputs(tiny)), {}
    for key, tensor in load_file(saved(name) / "model.safetensors").items():
        start = next((old for old in SPELLINGS[name] if key.startswith(old)), "")
        renamed[SPELLINGS[name].get(start, "") + key.removeprefix(start)] = tensor
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert [f.code for f in weightscope.open(tmp_path).check() if f.severity != "info"] == []
    np.testing.assert_array_equal(seeing.ours(tmp_path, tokens(tiny), inputs(tiny)), before)
