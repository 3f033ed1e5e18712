"""Aya Vision and Command A Vision: crops by squares through a gated bridge, by transformers' own models."""

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
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.their_functions import functions_of
from weightscope.analyses.forward.images import cohere2_vision, read_images
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.marked_eye import MarkedEye
from weightscope.errors import CheckpointError

Run = Callable[..., tuple[int, str, str]]
KINDS = ("AyaVision", "Cohere2Vision")
EACH = {"aya_vision": 4, "aya_vision-untied": 1, "cohere2_vision": 4, "cohere2_vision-untied": 16}
MORE = [
    Tiny("aya_vision-inner-layer", "AyaVision", next(t for t in TINY if t.name == "aya_vision").keys | {
        "vision_feature_layer": 1,
    }, "ForConditionalGeneration"),
]  # fmt: skip
CROPPED = [*(tiny for tiny in TINY if tiny.kind in KINDS), *MORE]


def tokens(each: int) -> list[int]:
    return [3, *[99] * each, 7, *[99] * each, 11, 12]


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tiny", CROPPED, ids=lambda tiny: tiny.name)
def test_two_crops_and_text_alone(tiny: Tiny, tmp_path: Path) -> None:
    tiny.build().save_pretrained(tmp_path / "source")
    directory = seeing.lively(tmp_path / "source", tmp_path / "m")
    ids, given = tokens(EACH.get(tiny.name, 4)), {"pixel_values": pixels()}
    assert seeing.off(seeing.ours(directory, ids, given), seeing.theirs(directory, ids, given)) < 1e-4
    text = [1, 2, 3, 40, 50]
    assert seeing.off(seeing.ours(directory, text), seeing.theirs(directory, text)) < 1e-4


@pytest.mark.parametrize("name", ["aya_vision", "cohere2_vision"])
def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        # A bias of keys adds the same to all scores of a query, which the softmax does not show.
        if ("vision_tower" in name or "projector" in name) and not name.endswith("k_proj.bias")
    ]
    still = seeing.unmoving(directory, tokens(4), {"pixel_values": pixels()}, names)
    # Aya Vision takes what comes before the tower's last norm.
    assert {part for part in still if "post_layernorm" not in part} == set()
    assert bool(still) is (name == "aya_vision")


SPELLINGS = {
    "aya_vision": {
        "vision_tower.": "model.vision_tower.vision_model.", "language_model.model.": "model.language_model.",
        "multi_modal_projector.": "model.multi_modal_projector.", "language_model.lm_head.": "lm_head.",
    },
    "cohere2_vision": {
        "model.vision_tower.": "vision_tower.", "model.language_model.": "language_model.model.",
        "model.multi_modal_projector.": "multi_modal_projector.",
    },
    "lfm2_vl": {"model.vision_tower.": "model.vision_tower.vision_model."},
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    text = [1, 2, 3, 40, 50]
    before, tensors = seeing.ours(directory, text), load_file(directory / "model.safetensors")
    renamed = {}
    for key, tensor in tensors.items():
        start = next((old for old in SPELLINGS[name] if key.startswith(old)), "")
        renamed[SPELLINGS[name].get(start, "") + key.removeprefix(start)] = tensor
    save_file(renamed, directory / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(directory)
    assert [finding.code for finding in model.check() if finding.severity == "error"] == []
    assert model.summary().tensors.unrecognized == ()
    assert seeing.off(seeing.ours(directory, text), before) == 0


@pytest.mark.parametrize("name", ["aya_vision", "cohere2_vision", "lfm2_vl"])
def test_eye_bridge_and_language_are_counted_apart(name: str, saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved(name) / "model.safetensors")
    expected = [
        sum(tensor.numel() for key, tensor in tensors.items() if part in key) for part in ("vision_tower", "projector")
    ]
    counted = {c.component: c.parameters for c in weightscope.open(saved(name)).components}
    assert [counted["vision"], counted["projector"]] == expected


def test_tiles_that_are_counted_wrongly(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    counted = (
        ([3], "num_patches has [3], and pixel_values has 2 tiles"),
        ([2.5], "not whole numbers"),
        ([np.nan], "contains NaN"),
    )
    for tiles, said in counted:
        np.savez(tmp_path / "x.npz", pixel_values=pixels().numpy(), num_patches=np.array(tiles))
        status, _, error = run("forward", saved("aya_vision"), "--pixels", tmp_path / "x.npz", "--tokens", "99,5")
        assert (status, said in error) == (2, True)


GOT = {
    "image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 28, "width": 28}, "crop_to_patches": True,
}  # fmt: skip
SIZES = [(97, 61), (20, 20), (8, 130), (640, 400), (56, 28)]


@pytest.mark.parametrize(
    "settings", [{}, {"crop_to_patches": False}, {"min_patches": 3, "max_patches": 5, "resample": 2}]
)
def test_tiles_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    said = GOT | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    keys = {key: value for key, value in said.items() if key != "image_processor_type"}
    theirs = transformers.GotOcr2ImageProcessorPil(**keys)([Image.open(path) for path in paths], return_tensors="np")
    ours = read_images(paths, tmp_path, "GotOcr2ImageProcessor")
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("most", [1, 6, 12])
def test_the_grids_of_command_a_vision(most: int) -> None:
    settings = cohere2_vision.Settings(max_patches=most)
    file = "cohere2_vision/image_processing_cohere2_vision.py"
    _, canvas = functions_of(file, "get_all_supported_aspect_ratios", "get_optimal_tiled_canvas")
    for width in (300, 512, 700, 1025, 2000, 5000):
        for height in (200, 512, 1100, 1536, 4000):
            wide, tall = canvas((height, width), (512, 512), 1, most)
            assert settings.grid(height, width) == (tall, wide)


def test_tiles_of_command_a_vision_are_what_torch_resizes_them_to(tmp_path: Path) -> None:
    """transformers resizes by torchvision, that is by torch: of a value of 256 Pillow may differ by one."""
    said = {"image_processor_type": "Cohere2VisionImageProcessorFast", "size": {"height": 28, "width": 28}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said | {"do_normalize": False}))
    path = photograph(tmp_path / "a.png", (80, 50))
    ours = read_images([path], tmp_path, "Cohere2VisionImageProcessor")
    assert ours["num_patches"].tolist() == [7]
    picture = torch.as_tensor(np.array(Image.open(path))).permute(2, 0, 1)[None]
    resize = torch.nn.functional.interpolate
    whole = resize(picture, (56, 84), mode="bicubic", antialias=True)[0]
    np.testing.assert_allclose(ours["pixel_values"][4] * 255, whole[:, 28:, 28:56], rtol=0, atol=1.001)
    last = resize(picture, (28, 28), mode="bicubic", antialias=True)[0]
    np.testing.assert_allclose(ours["pixel_values"][6] * 255, last, rtol=0, atol=1.001)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": {"shortest_edge": 28}}, "a size without height and width"),
        ({"do_resize": False, "crop_to_patches": False}, "images become several sizes"),
        ({"max_patches": 0}, "has settings that cannot be used"),
        ({"size": {"height": 2800, "width": 2800}}, "the limit is"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(GOT | settings))
    paths = [photograph(tmp_path / "a.png", (40, 30)), photograph(tmp_path / "b.png", (30, 40))]
    with pytest.raises(CheckpointError, match=said):
        read_images(paths, tmp_path, "GotOcr2ImageProcessor")


@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_written_as_their_processor_writes_it(kind: str, tiles: int, saved: Callable[[str], Path]) -> None:
    name = {"AyaVision": "aya_vision", "Cohere2Vision": "cohere2_vision"}[kind]
    declaration = weightscope.open(saved(name)).declaration
    assert declaration
    assert isinstance(declaration.tree, VisionLanguage)
    eye = declaration.tree.eye
    assert isinstance(eye, MarkedEye)
    # Cohere's tokenizers name these; four tokens a tile, as the tiny models have it.
    names = {
        "start_of_img_token": "<|START_OF_IMG|>", "end_of_img_token": "<|END_OF_IMG|>",
        "img_patch_token": "<|IMG_PATCH|>", "tile_token": "TILE", "tile_global_token": "TILE_GLOBAL", "img_size": 28,
        "boi_token": "<|START_OF_IMG|>", "eoi_token": "<|END_OF_IMG|>", "image_token": "<|IMG_PATCH|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>", "patch_size": {"AyaVision": 14, "Cohere2Vision": 2}[kind],
    }  # fmt: skip
    processor = getattr(transformers, f"{kind}Processor")
    theirs = processor.replace_image_token(SimpleNamespace(**names), {"num_patches": [tiles]}, 0)
    (layout,) = eye.layouts({"pixel_values": pixels(tiles), "num_patches": torch.tensor([tiles])})
    assert "".join("<|IMG_PATCH|>" * piece if isinstance(piece, int) else str(piece) for piece in layout) == theirs


def test_two_images_at_the_command_line(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved("aya_vision"), tmp_path / "m")
    (directory / "preprocessor_config.json").write_text(json.dumps(GOT | {"max_patches": 3}))
    paths = [photograph(tmp_path / "a.png", (97, 61)), photograph(tmp_path / "b.png", (20, 30))]
    given = read_images(paths, directory, "GotOcr2ImageProcessor")
    ids = [5, *[99] * 4 * len(given["pixel_values"]), 7]
    logits = tmp_path / "logits.npy"
    options = ("--image", paths[0], "--image", paths[1], "--tokens", ",".join(map(str, ids)), "--save-logits", logits)
    assert run("forward", directory, *options, "--compare", "transformers")[0] == 0
    wanted = seeing.theirs(directory, ids, {"pixel_values": torch.as_tensor(given["pixel_values"])})
    assert seeing.off(torch.as_tensor(np.load(logits)), wanted) < 1e-4
