"""Image files as Gemma 4 takes them, by transformers' own Pillow processor; `forward` with images."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.test_siglip_image import words
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError

Run = Callable[..., tuple[int, str, str]]
SIZES = [(97, 61), (20, 20), (8, 130), (640, 400)]
SMALL = {"patch_size": 2, "max_soft_tokens": 70, "pooling_kernel_size": 2}


def theirs(settings: dict[str, Any], paths: list[Path]) -> dict[str, Any]:
    processor = transformers.Gemma4ImageProcessorPil(**settings)
    return dict(processor(images=[Image.open(path) for path in paths], return_tensors="np"))


def merged(arrays: dict[str, Any]) -> dict[str, Any]:
    """The patches of 12B, by transformers' own function, which lies in a file that needs torchvision."""
    package = Path(transformers.__file__).parent / "models" / "gemma4_unified" / "image_processing_gemma4_unified.py"
    names: dict[str, Any] = {"torch": torch, "math": math}
    for node in ast.parse(package.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name == "patches_merge":
            exec(compile(ast.Module([node], []), str(package), "exec"), names)
    pixels, places = [], []
    for image, grid, count in zip(*arrays.values(), strict=True):
        real = (grid != -1).all(axis=-1)
        made = names["patches_merge"](torch.tensor(image[real])[None], torch.tensor(grid[real])[None], int(count))
        pixels.append(made[0][0].numpy())
        places.append(made[1][0].numpy())
    return {"pixel_values": pixels, "image_position_ids": places}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        SMALL,
        {"max_soft_tokens": 1120, "resample": 2},
        {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "pooling_kernel_size": 2},
        {"do_rescale": False},
    ],
)
def test_patches_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    expected = theirs(settings, paths)
    ours = read_images(paths, tmp_path, "Gemma4ImageProcessor")
    assert set(ours) == set(expected)
    np.testing.assert_array_equal(ours["image_position_ids"], expected["image_position_ids"])
    np.testing.assert_array_equal(ours["num_soft_tokens_per_image"], expected["num_soft_tokens_per_image"])
    np.testing.assert_allclose(ours["pixel_values"], expected["pixel_values"], rtol=1e-5, atol=1e-5)
    larger, wanted = read_images(paths, tmp_path, "Gemma4UnifiedImageProcessor"), merged(expected)
    for number, count in enumerate(expected["num_soft_tokens_per_image"]):
        for name, array in wanted.items():
            np.testing.assert_allclose(larger[name][number, :count], array[number], rtol=1e-5, atol=1e-5)
        assert (larger["image_position_ids"][number, count:] == -1).all()
        assert larger["image_position_ids"].shape[1] == settings.get("max_soft_tokens", 280)


def test_an_image_as_it_is(tmp_path: Path) -> None:
    settings = SMALL | {"do_resize": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    paths = [photograph(tmp_path / "a.png", (12, 8))]
    ours, expected = read_images(paths, tmp_path, "Gemma4ImageProcessor"), theirs(settings, paths)
    np.testing.assert_allclose(ours["pixel_values"], expected["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "size", "said"),
    [
        ({"max_soft_tokens": 71}, (40, 30), "has settings that cannot be used"),
        ({"patch_size": 0}, (40, 30), "has settings that cannot be used"),
        ({"patch_size": 256, "pooling_kernel_size": 16}, (40, 30), "the limit is"),
        (SMALL | {"do_resize": False}, (41, 30), "not cut into patches of 2"),
        (SMALL | {"do_resize": False}, (80, 80), "1,600 patches, and at most 280"),
    ],
)
def test_what_cannot_be_done_is_said(
    settings: dict[str, Any], size: tuple[int, int], said: str, tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=said):
        read_images([photograph(tmp_path / "a.png", size)], tmp_path, "Gemma4ImageProcessor")


@pytest.mark.parametrize("name", ["gemma4-mixture", "gemma4_unified"])
@pytest.mark.parametrize("options", [("--prompt", "w7 <img> w8 <img>"), ("--tokens", "1,7,95,8,95")])
def test_two_images_at_the_command_line(
    options: tuple[str, ...], name: str, saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    """What `Gemma4Processor` writes: the tokens of an image between two others."""
    directory, logits = seeing.lively(saved(name), tmp_path / "m"), tmp_path / "logits.npy"
    tiny = {"patch_size": 2, "max_soft_tokens": 70, "pooling_kernel_size": 2}
    (directory / "preprocessor_config.json").write_text(json.dumps(tiny))
    words(directory, {"<img>": 95, "<boi>": 98, "<eoi>": 99})
    config = json.loads((directory / "config.json").read_text())
    rows = "position_embedding_size" if name == "gemma4-mixture" else "mm_posemb_size"
    assert config["vision_config"][rows] == 11
    images = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    # A table of 11 columns has no place for so many patches.
    status, out, error = run("forward", directory, "--image", images[0], "--image", images[1], *options)
    assert (status == 2 and "at most 11 of each" in error) is (name == "gemma4-mixture")
    (directory / "preprocessor_config.json").write_text(json.dumps(tiny | {"do_resize": False}))
    images = [photograph(tmp_path / "a.png", (16, 8)), photograph(tmp_path / "b.png", (8, 20))]
    options = (*options, "--save-logits", str(logits), "--format", "json")
    status, out, error = run("forward", directory, "--image", images[0], "--image", images[1], *options)
    assert (status in (0, 1), error) == (True, "")
    ids = json.loads(out)["token_ids"]
    assert ids == [1, 7, 98, *[95] * 8, 99, 8, 98, *[95] * 10, 99]
    usual = "Gemma4ImageProcessor" if name == "gemma4-mixture" else "Gemma4UnifiedImageProcessor"
    arrays = {key: torch.as_tensor(value) for key, value in read_images(images, directory, usual).items()}
    arrays.pop("num_soft_tokens_per_image")
    kinds = {"mm_token_type_ids": (torch.tensor([ids]) == 95).int()}
    assert seeing.off(torch.as_tensor(np.load(logits)), seeing.theirs(directory, ids, kinds | arrays)) < 1e-4


def test_compared_with_transformers(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved("gemma4"), tmp_path / "m")
    settings = {"patch_size": 2, "max_soft_tokens": 70, "pooling_kernel_size": 2, "do_resize": False}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    image = photograph(tmp_path / "a.png", (16, 8))
    options = ("--tokens", "3,95,5", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", directory, "--image", image, *options)
    assert (status, error) == (0, "")
    assert {"layer 0", "layer 2", "logits"} <= {item["stage"] for item in json.loads(out)["compared"]}
