"""Idefics 3 and SmolVLM on tiles and text, by transformers' own model; every tensor of the eye matters."""

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

# Tiles of 8 × 8 patches, where the table of positions is 4 × 4: sixteen vectors each, or four.
EACH = {"idefics3": 16, "idefics3-tied": 4, "smolvlm": 16}
TILED = [tiny for tiny in TINY if tiny.name in EACH]


def tokens(each: int, tiles: int = 3) -> list[int]:
    return [3, *([97, *[99] * each] * (tiles - 1)), 98, 7, *[99] * each, 11]


def pixels(count: int = 3, height: int = 56, width: int = 56) -> torch.Tensor:
    return torch.randn(1, count, 3, height, width, generator=torch.Generator().manual_seed(1))


def hidden(count: int = 3, side: int = 56) -> torch.Tensor:
    """A mask under which two tiles are not whole: a patch of which one pixel counts is one."""
    mask = torch.ones(1, count, side, side, dtype=torch.long)
    mask[0, 0, 43:] = 0
    mask[0, 2, :, 30:] = 0
    return mask


@pytest.fixture(scope="module", params=EACH)
def made(request: Any, saved: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    return seeing.lively(saved(request.param), tmp_path_factory.mktemp("m") / "m"), EACH[request.param]


def test_tiles_and_text_alone(made: tuple[Path, int]) -> None:
    directory, each = made
    ids, given = tokens(each), {"pixel_values": pixels()}
    assert seeing.off(seeing.ours(directory, ids, given), seeing.theirs(directory, ids, given)) < 1e-4
    text = [1, 2, 3, 40, 50]
    assert seeing.off(seeing.ours(directory, text), seeing.theirs(directory, text)) < 1e-4


def test_what_a_mask_hides_is_not_seen(made: tuple[Path, int]) -> None:
    directory, each = made
    ids, given = tokens(each), {"pixel_values": pixels(), "pixel_attention_mask": hidden()}
    ours = seeing.ours(directory, ids, given)
    assert seeing.off(ours, seeing.theirs(directory, ids, given)) < 1e-4
    assert seeing.off(ours, seeing.ours(directory, ids, {"pixel_values": pixels()})) > 1e-2


def test_tiles_of_zeros_fill_a_batch(made: tuple[Path, int]) -> None:
    directory, each = made
    filled = torch.cat((pixels(), torch.zeros(1, 1, 3, 56, 56)), dim=1)
    ids = tokens(each)
    expected = seeing.theirs(directory, ids, {"pixel_values": filled})
    assert seeing.off(seeing.ours(directory, ids, {"pixel_values": filled}), expected) < 1e-4


def test_a_grid_that_is_no_square_is_read_as_one(made: tuple[Path, int]) -> None:
    """Of 4 × 16 patches transformers makes 8 × 8."""
    directory, each = made
    ids, given = tokens(each), {"pixel_values": pixels(height=28, width=112)}
    assert seeing.off(seeing.ours(directory, ids, given), seeing.theirs(directory, ids, given)) < 1e-4


@pytest.mark.parametrize("name", ["idefics3"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        # A bias of keys adds the same to all scores of a query, which the softmax does not show.
        if ("vision_model" in name or "connector" in name) and not name.endswith("k_proj.bias")
    ]
    assert not seeing.unmoving(directory, tokens(16), {"pixel_values": pixels()}, names)


MLX = {"model.text_model.": "language_model.", "model.": "", "lm_head.": "language_model.lm_head."}
BASE = {"model.": ""}


@pytest.mark.parametrize("renamed", [MLX, BASE], ids=["mlx", "base"])
def test_other_spellings(renamed: dict[str, str], saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("idefics3"), tmp_path / "m")
    ids, given = tokens(16), {"pixel_values": pixels()}
    before, tensors = seeing.ours(directory, ids, given), load_file(directory / "model.safetensors")
    others = {}
    for key, tensor in tensors.items():
        start = next((old for old in renamed if key.startswith(old)), "")
        others[renamed.get(start, "") + key.removeprefix(start)] = tensor
    save_file(others, directory / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(directory)
    assert [finding.code for finding in model.check() if finding.severity == "error"] == []
    assert model.summary().tensors.unrecognized == ()
    assert seeing.off(seeing.ours(directory, ids, given), before) == 0


def test_eye_bridge_and_language_are_counted_apart(saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved("idefics3") / "model.safetensors")
    expected = [
        sum(tensor.numel() for name, tensor in tensors.items() if part in name)
        for part in ("vision_model", "connector")
    ]
    counted = {c.component: c.parameters for c in weightscope.open(saved("idefics3")).components}
    assert [counted["vision"], counted["projector"]] == expected


@pytest.mark.parametrize(
    ("inputs", "ids", "said"),
    [
        ({}, tokens(16), "stands for an image, and no image was given"),
        ({"pixel_attention_mask": hidden()}, tokens(16), "pixel_values is missing"),
        ({"pixel_values": pixels()}, tokens(16)[3:], "image tokens"),
        ({"pixel_values": pixels()[:, :, :1]}, tokens(16), "not [1, tiles, 3, height, width]"),
        ({"pixel_values": pixels(height=6)}, tokens(16), "with sides of 7 or more"),
        ({"pixel_values": pixels(height=28)}, tokens(16), "4 × 8 patches, which are not squares of 2 × 2"),
        ({"pixel_values": pixels() * 0}, tokens(16), "nothing but zeros"),
        ({"pixel_values": pixels(), "pixel_attention_mask": hidden(side=49)}, tokens(16), "[1, 3, 49, 49]"),
        ({"pixel_values": pixels(), "pixel_attention_mask": hidden() * 0}, tokens(16), "hides the first patch"),
        ({"pixel_values": pixels(), "image_sizes": [1]}, tokens(16), "does not take image_sizes"),
    ],
)
def test_what_does_not_fit_is_said(
    inputs: dict[str, Any], ids: list[int], said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("idefics3")).forward(ids, **inputs)
    assert said in str(caught.value)
