"""SigLIP 2 alone and LFM2-VL: images of any shape, by transformers' own models; image files; the text around them."""

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
from tests.families.tiny import TINY
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.their_functions import functions_of
from weightscope.analyses.forward.images import lfm2_vl, read_images
from weightscope.components.vision.naflex_eye import _layout
from weightscope.errors import CheckpointError, UsageError

Run = Callable[..., tuple[int, str, str]]
NAFLEX = [tiny for tiny in TINY if tiny.kind in ("Siglip2Vision", "Siglip2", "Siglip2Text", "Lfm2Vl")]
SHAPES = [(4, 6), (2, 8), (6, 2)]
TOKENS = [3, *[99] * 6, 7, *[99] * 4, 8, 9, *[99] * 3, 11]


def inputs(shapes: list[tuple[int, int]] = SHAPES, *, most: int = 26) -> dict[str, Any]:
    """Images as rows of patches, what is padding not zero, so that it shows if it is seen."""
    pixels = torch.randn(len(shapes), most, 3 * 7 * 7, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(len(shapes), most, dtype=torch.int32)
    for row, (tall, wide) in zip(mask, shapes, strict=True):
        row[: tall * wide] = 1
    return {"pixel_values": pixels, "pixel_attention_mask": mask, "spatial_shapes": torch.tensor(shapes)}


@pytest.mark.parametrize("tiny", [t for t in NAFLEX if t.kind == "Lfm2Vl"], ids=lambda tiny: tiny.name)
def test_three_images_and_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    assert seeing.off(seeing.ours(directory, TOKENS, inputs()), seeing.theirs(directory, TOKENS, inputs())) < 1e-4
    text = [1, 2, 3, 40, 50]
    assert seeing.off(seeing.ours(directory, text), seeing.theirs(directory, text)) < 1e-4


@pytest.mark.parametrize("shape", [(4, 6), (2, 8), (4, 4), (1, 1)])
def test_features_of_the_tower_alone(shape: tuple[int, int], saved: Callable[[str], Path]) -> None:
    given = inputs([shape])
    with torch.no_grad():
        model = transformers.Siglip2VisionModel.from_pretrained(saved("siglip2_vision_model")).eval()
        expected = model(**given).last_hidden_state[0, : shape[0] * shape[1]]
    result = weightscope.open(saved("siglip2_vision_model")).forward(**given)
    assert seeing.off(torch.as_tensor(result.output), expected) < 1e-4
    assert [stage.stage for stage in result.stages][-1] == "vision pooled"


def test_the_pooled_vector(saved: Callable[[str], Path]) -> None:
    given = inputs([(4, 6)])
    with torch.no_grad():
        expected = transformers.Siglip2VisionModel.from_pretrained(saved("siglip2_vision_model")).eval()(**given)
    pooled = weightscope.open(saved("siglip2_vision_model")).forward(**given).stages[-1]
    assert pooled.rms == pytest.approx(float(expected.pooler_output.square().mean().sqrt()), rel=1e-4)


def test_a_text_and_three_images(saved: Callable[[str], Path]) -> None:
    words = [1, 7, 43, 99, 5, 88, 0]
    with torch.no_grad():
        model = transformers.Siglip2Model.from_pretrained(saved("siglip2")).eval()
        expected = model(input_ids=torch.tensor([words]), **inputs()).logits_per_text
    output = weightscope.open(saved("siglip2")).forward(words, **inputs()).output
    assert output is not None
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


def test_the_text_encoder_alone(saved: Callable[[str], Path]) -> None:
    words = [1, 7, 43, 99, 5, 88, 0]
    with torch.no_grad():
        model = transformers.Siglip2TextModel.from_pretrained(saved("siglip2_text_model")).eval()
        expected = model(torch.tensor([words])).last_hidden_state[0]
    output = weightscope.open(saved("siglip2_text_model")).forward(words).output
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 6), (2, 8)])
def test_classes_of_an_image(shape: tuple[int, int], saved: Callable[[str], Path]) -> None:
    """Of the mean of its patches, without those that only fill up."""
    given = inputs([shape])
    with torch.no_grad():
        model = transformers.Siglip2ForImageClassification.from_pretrained(saved("siglip2-classes")).eval()
        expected = model(**given).logits
    output = weightscope.open(saved("siglip2-classes")).forward(**given).output
    assert output is not None
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


def test_images_that_are_missing_are_said(saved: Callable[[str], Path]) -> None:
    given = inputs()
    del given["spatial_shapes"]
    with pytest.raises(UsageError, match="spatial_shapes is missing"):
        weightscope.open(saved("siglip2")).forward([1, 7, 43], **given)


def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("lfm2_vl"), tmp_path / "m")
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        # A bias of keys adds the same to all scores of a query, which the softmax does not show.
        if ("vision_tower" in name or "projector" in name) and not name.endswith("k_proj.bias")
    ]
    assert not seeing.unmoving(directory, TOKENS, inputs(), names)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pixel_values": torch.zeros(3, 26, 3)}, "not [images, patches, 147]"),
        ({"spatial_shapes": torch.tensor([[4, 6]])}, "not [3, 2]"),
        ({"spatial_shapes": torch.tensor([[4, 6], [2, 8], [0, 2]])}, "an image has 1 to 26 patches"),
        ({"spatial_shapes": torch.tensor([[4, 6], [2, 8], [30, 2]])}, "an image has 1 to 26 patches"),
        ({"spatial_shapes": torch.tensor([[4, 6], [2, 8], [3, 4]])}, "multiples of 2"),
        ({"pixel_attention_mask": torch.ones(3, 26)}, "does not cover the [24, 16, 12] patches"),
        ({"pixel_attention_mask": torch.ones(2, 2)}, "does not cover the"),
        ({"spatial_shapes": torch.full((3, 2), float("nan"))}, "spatial_shapes contains NaN"),
        ({"spatial_shapes": torch.full((3, 2), 2.5)}, "spatial_shapes holds torch.float32 values"),
    ],
)
def test_what_does_not_fit_is_said(changed: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("lfm2_vl")).forward(TOKENS, **inputs() | changed)
    assert said in str(caught.value)


SMALL = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 7, "max_num_patches": 26}


@pytest.mark.parametrize("settings", [{}, {"resample": 3, "max_num_patches": 5}, {"do_normalize": False}])
def test_patches_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    said = SMALL | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    sizes = [(97, 61), (20, 20), (8, 130), (640, 400)]
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(sizes)]
    keys = {key: value for key, value in said.items() if key != "image_processor_type"}
    theirs = transformers.Siglip2ImageProcessorPil(**keys)([Image.open(path) for path in paths], return_tensors="np")
    ours = read_images(paths, tmp_path, "Siglip2ImageProcessor")
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


TILED: dict[str, Any] = {
    "image_processor_type": "Lfm2VlImageProcessor", "encoder_patch_size": 7, "tile_size": 28, "min_image_tokens": 1,
    "max_image_tokens": 4, "max_pixels_tolerance": 1.5,
}  # fmt: skip


ROUND, NEAREST, RATIOS, LAYOUT, RESIZE, LARGE, PATCHES = functions_of(
    "lfm2_vl/image_processing_lfm2_vl.py",
    "round_by_factor",
    "find_closest_aspect_ratio",
    "_target_ratios",
    "_get_grid_layout",
    "smart_resize",
    "_is_image_too_large",
    "convert_image_to_patches",
)


class Theirs:
    """Their processor, as far as its methods call each other."""

    _target_ratios = RATIOS


@pytest.mark.parametrize("size", [(97, 61), (20, 20), (8, 130), (640, 400), (35, 35), (63, 49), (1250, 1000), (5, 4)])
@pytest.mark.parametrize("settings", [{}, {"min_image_tokens": 3, "max_image_tokens": 9, "tile_size": 30}])
def test_grids_and_sizes_are_those_of_transformers(size: tuple[int, int], settings: dict[str, Any]) -> None:
    keys = {key: value for key, value in (TILED | settings).items() if key != "image_processor_type"}
    ours, theirs = lfm2_vl.Settings(**keys), Theirs()
    width, height = size
    given = {name: getattr(ours, name) for name in ("encoder_patch_size", "downsample_factor", "max_image_tokens")}
    large = LARGE(theirs, height, width, **given, max_pixels_tolerance=ours.max_pixels_tolerance)
    assert ours.is_large(height, width) is large
    whole = RESIZE(theirs, height, width, **given, min_image_tokens=ours.min_image_tokens)
    assert ours.whole(height, width) == whole[::-1]
    wide, tall, *_ = LAYOUT(theirs, height, width, ours.min_tiles, ours.max_tiles, ours.tile_size)
    assert lfm2_vl._grid(height, width, ours) == (tall, wide)


def test_tiles_are_what_torch_resizes_them_to(tmp_path: Path) -> None:
    """transformers resizes by torchvision, that is by torch: of a value of 256 Pillow may differ by one."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(TILED | {"do_normalize": False}))
    path = photograph(tmp_path / "a.png", (97, 61))
    ours = read_images([path], tmp_path, "Lfm2VlImageProcessor")
    picture = torch.as_tensor(np.array(Image.open(path))).permute(2, 0, 1)[None]
    grid, size = (int(ours["image_rows"][0]), int(ours["image_cols"][0])), ours["spatial_shapes"][-1] * 7
    assert grid == (2, 3)
    for count, (tall, wide) in ((6, (56, 84)), (7, tuple(size))):
        resized = torch.nn.functional.interpolate(picture, (int(tall), int(wide)), mode="bilinear", antialias=True)
        tile = resized[0] if count == 7 else resized[0, :, 28:56, 56:84]
        patches = PATCHES(tile[None], 7)[0]
        found = ours["pixel_values"][count - 1][: len(patches)] * 255
        np.testing.assert_allclose(found, patches, rtol=0, atol=1.001)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_tiles": 9, "max_tiles": 3}, "min_tiles are more than max_tiles"),
        ({"encoder_patch_size": 0}, "has settings that cannot be used"),
        (
            {"tile_size": 16384, "max_image_tokens": 60000, "min_image_tokens": 60000, "encoder_patch_size": 64},
            "the limit",
        ),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(TILED | settings))
    with pytest.raises(CheckpointError, match=said):
        read_images([photograph(tmp_path / "a.png", (400, 300))], tmp_path, "Lfm2VlImageProcessor")


@pytest.mark.parametrize("grid", [(1, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("whole", [False, True])
def test_an_image_is_written_as_their_processor_writes_it(grid: tuple[int, int], whole: bool) -> None:
    names = SimpleNamespace(
        image_token="<image>", image_start_token="<|image_start|>", image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )  # fmt: skip
    theirs = transformers.Lfm2VlProcessor._build_image_tokens(names, *grid, 4, 6, whole, True)
    rows, columns = grid
    several = rows * columns > 1
    pieces = _layout(grid, [4] * (rows * columns) + [6] if several else [6], whole=whole)
    assert "".join("<image>" * piece if isinstance(piece, int) else str(piece) for piece in pieces) == theirs


def test_two_images_at_the_command_line(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved("lfm2_vl"), tmp_path / "m")
    (directory / "preprocessor_config.json").write_text(json.dumps(TILED))
    paths = [photograph(tmp_path / "a.png", (97, 61)), photograph(tmp_path / "b.png", (20, 30))]
    given = read_images(paths, directory, "Lfm2VlImageProcessor")
    given.pop("image_rows"), given.pop("image_cols")
    places = sum(int(rows * columns) // 4 for rows, columns in given["spatial_shapes"])
    tokens = [5, *[99] * places, 7]
    logits = tmp_path / "logits.npy"
    options = (
        "--image",
        paths[0],
        "--image",
        paths[1],
        "--tokens",
        ",".join(map(str, tokens)),
        "--save-logits",
        logits,
    )
    assert run("forward", directory, *options, "--compare", "transformers")[0] == 0
    wanted = seeing.theirs(directory, tokens, {name: torch.as_tensor(value) for name, value in given.items()})
    assert seeing.off(torch.as_tensor(np.load(logits)), wanted) < 1e-4
