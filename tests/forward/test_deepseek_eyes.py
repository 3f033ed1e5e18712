"""DeepSeek-VL, GOT-OCR 2 and Ovis 2 on two images and text, by transformers' own models; their files and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.words_eye import WordsEye
from weightscope.errors import CheckpointError, UsageError

Run = Callable[..., tuple[int, str, str]]
# How many pixels a side has, and how many vectors a crop becomes.
SIZES = {
    "deepseek_vl": (28, 16), "deepseek_vl-untied": (28, 16), "got_ocr2": (35, 4), "got_ocr2-untied-plain": (35, 4),
    "ovis2": (28, 16), "ovis2-untied-strides": (28, 4), "deepseek_vl_hybrid": (28, 16),
}  # fmt: skip
SQUARED = [tiny for tiny in TINY if tiny.name in SIZES]
BRIDGES = {"deepseek_vl": ("vision_model", "aligner"), "got_ocr2": ("vision_tower", "multi_modal_projector")}


def tokens(name: str, *, marks: bool = True) -> list[int]:
    """Two images; around them the tokens that Ovis 2 has vectors for."""
    before, between, after = ([90], [91], [92]) if marks else ([3], [7], [11])
    return [*before, *[99] * SIZES[name][1], *between, *[99] * SIZES[name][1], *after, 12]


def pixels(name: str, count: int = 2) -> torch.Tensor:
    side = SIZES[name][0]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def inputs(name: str, count: int = 2) -> dict[str, Any]:
    """The pixels, for DeepSeek-VL's larger model also of a larger image."""
    large = torch.randn(count, 3, 35, 35, generator=torch.Generator().manual_seed(4))
    more = {"high_res_pixel_values": large} if "hybrid" in name else {}
    return {"pixel_values": pixels(name, count)} | more


@pytest.mark.parametrize("tiny", SQUARED, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    ids, given = tokens(tiny.name), inputs(tiny.name)
    assert seeing.off(seeing.ours(directory, ids, given), seeing.theirs(directory, ids, given)) < 1e-4
    text = [1, 2, 90, 40, 50]
    assert seeing.off(seeing.ours(directory, text), seeing.theirs(directory, text)) < 1e-4


@pytest.mark.parametrize("name", ["deepseek_vl", "deepseek_vl_hybrid", "got_ocr2", "ovis2"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    parts = ("vision_", "visual_", "aligner", "projector")
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        # A bias of keys adds the same to all scores of a query, which the softmax does not show.
        if any(part in name for part in parts) and not name.endswith("k_proj.bias")
    ]
    assert len(names) > 20
    assert not seeing.unmoving(directory, tokens(name), inputs(name), names)


@pytest.mark.parametrize("name", BRIDGES)
def test_eye_bridge_and_language_are_counted_apart(name: str, saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved(name) / "model.safetensors")
    expected = [sum(t.numel() for key, t in tensors.items() if part in key) for part in BRIDGES[name]]
    counted = {c.component: c.parameters for c in weightscope.open(saved(name)).components}
    assert [counted["vision"], counted["projector"]] == expected


def test_the_words_of_ovis_are_its_bridge(saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved("ovis2") / "model.safetensors")
    bridge = sum(t.numel() for key, t in tensors.items() if "visual_" in key or "vision_tower.head" in key)
    eye = sum(t.numel() for key, t in tensors.items() if "vision_tower.transformer" in key)
    counted = {c.component: c.parameters for c in weightscope.open(saved("ovis2")).components}
    assert (counted["vision"], counted["projector"]) == (eye, bridge)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("got_ocr2", {"pixel_values": torch.zeros(2, 3, 28, 28)}, "not [tiles, 3, 35, 35]"),
        ("ovis2", {"pixel_values": torch.zeros(2, 3, 35, 35)}, "the encoder takes [3, 28, 28]"),
        ("deepseek_vl", {"pixel_values": torch.zeros(1, 3, 28, 28)}, "image tokens"),
        ("deepseek_vl_hybrid", {"pixel_values": torch.zeros(2, 3, 28, 28)}, "high_res_pixel_values is missing"),
        (
            "deepseek_vl_hybrid",
            {"pixel_values": torch.zeros(2, 3, 28, 28), "high_res_pixel_values": torch.zeros(1, 3, 35, 35)},
            "not [2, 3, 35, 35]",
        ),
    ],
)
def test_what_does_not_fit_is_said(name: str, given: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved(name)).forward(tokens(name), **given)
    assert said in str(caught.value)


KINDS: dict[str, dict[str, Any]] = {
    "DeepseekVL": {"size": {"height": 28, "width": 28}, "min_size": 7},
    "Ovis2": {"size": {"height": 28, "width": 28}, "crop_to_patches": True},
    "DeepseekVLHybrid": {
        "size": {"height": 28, "width": 28}, "min_size": 7, "high_res_size": {"height": 70, "width": 70},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("DeepseekVL", {}),
        ("DeepseekVL", {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5], "resample": 2}),
        ("DeepseekVLHybrid", {}),
        ("DeepseekVLHybrid", {"high_res_image_mean": [0.5, 0.4, 0.3], "high_res_resample": 2}),
        ("Ovis2", {}),
        ("Ovis2", {"max_patches": 4}),
        ("Ovis2", {"use_covering_area_grid": False, "min_patches": 2}),
        ("Ovis2", {"crop_to_patches": False}),
    ],
)
def test_images_are_those_of_transformers(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    keys = KINDS[kind] | settings
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": f"{kind}ImageProcessor"} | keys)
    )
    sizes = [(97, 61), (20, 20), (8, 130), (640, 400), (56, 28), (27, 13)]
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(sizes)]
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**keys)
    theirs = processor([Image.open(path) for path in paths], return_tensors="np")
    ours = read_images(paths, tmp_path, f"{kind}ImageProcessor")
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("DeepseekVL", {"size": {"height": 28, "width": 27}}, "height and width are not the same"),
        ("DeepseekVL", {"image_mean": [9, 9, 9]}, "which is not a colour"),
        ("DeepseekVL", {"do_resize": False}, "images become several sizes"),
        ("Ovis2", {"size": {"shortest_edge": 3}}, "a size without height and width"),
    ],
)
def test_settings_that_cannot_be_used(kind: str, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    keys = {"image_processor_type": f"{kind}ImageProcessor"} | KINDS[kind] | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(keys))
    paths = [photograph(tmp_path / "a.png", (40, 30)), photograph(tmp_path / "b.png", (30, 20))]
    with pytest.raises(CheckpointError, match=said):
        read_images(paths, tmp_path, f"{kind}ImageProcessor")


@pytest.mark.parametrize("grid", [(1, 1), (1, 3), (3, 2)])
def test_an_image_is_written_as_the_processor_of_ovis_writes_it(
    grid: tuple[int, int], saved: Callable[[str], Path]
) -> None:
    declaration = weightscope.open(saved("ovis2")).declaration
    assert declaration
    assert isinstance(declaration.tree, VisionLanguage)
    eye = declaration.tree.eye
    assert isinstance(eye, WordsEye)
    theirs = transformers.Ovis2Processor.replace_image_token(
        SimpleNamespace(image_seq_length=16), {"grids": np.array([grid])}, 0
    )
    tiles = grid[0] * grid[1] + (grid[0] * grid[1] > 1)
    (layout,) = eye.layouts({"pixel_values": pixels("ovis2", tiles), "grids": torch.tensor([grid])})
    assert "".join("<IMG_ATOM>" * piece if isinstance(piece, int) else str(piece) for piece in layout) == theirs


@pytest.mark.parametrize(("name", "kind"), [("deepseek_vl", "DeepseekVL"), ("got_ocr2", "GotOcr2"), ("ovis2", "Ovis2")])
def test_two_images_at_the_command_line(
    name: str, kind: str, saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    side, each = SIZES[name]
    size = {"size": {"height": side, "width": side}, "image_processor_type": f"{kind}ImageProcessor"}
    (directory / "preprocessor_config.json").write_text(json.dumps(size))
    paths = [photograph(tmp_path / "a.png", (97, 61)), photograph(tmp_path / "b.png", (20, 30))]
    given = {"pixel_values": torch.as_tensor(read_images(paths, directory, f"{kind}ImageProcessor")["pixel_values"])}
    ids = [5, *[99] * 2 * each, 7]
    logits = tmp_path / "logits.npy"
    options = ("--image", paths[0], "--image", paths[1], "--tokens", ",".join(map(str, ids)), "--save-logits", logits)
    assert run("forward", directory, *options, "--compare", "transformers")[0] == 0
    assert seeing.off(torch.as_tensor(np.load(logits)), seeing.theirs(directory, ids, given)) < 1e-4
