"""Image files as tiles, by transformers' own Pillow processors; the prompt's image tokens; the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor

import weightscope
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.errors import WeightscopeError

Run = Callable[..., tuple[int, str, str]]
SIZES = [(97, 61), (28, 28), (8, 130), (640, 401), (33, 95), (57, 28)]
PINPOINTS = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
NEXT = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, "image_grid_pinpoints": PINPOINTS}
ONEVISION = {"size": {"height": 28, "width": 28}, "image_grid_pinpoints": PINPOINTS}
EVEN = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def settings_in(directory: Path, kind: str, settings: dict[str, Any]) -> None:
    said = {"image_processor_type": kind} | settings
    (directory / "preprocessor_config.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("LlavaNextImageProcessor", NEXT),
        ("LlavaNextImageProcessor", NEXT | EVEN | {"resample": 2, "crop_size": {"height": 14, "width": 14}}),
        ("LlavaNextImageProcessorFast", NEXT | {"do_center_crop": False, "do_rescale": False}),
        ("LlavaNextImageProcessor", {}),
        ("LlavaOnevisionImageProcessor", ONEVISION),
        ("LlavaOnevisionImageProcessor", EVEN | {"image_grid_pinpoints": [[384, 768], [768, 384]]}),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_those_of_transformers(
    kind: str, settings: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    settings_in(tmp_path, kind, settings)
    path = photograph(tmp_path / "a.png", size)
    theirs = getattr(transformers, kind.removesuffix("Fast") + "Pil")(**settings)(Image.open(path), return_tensors="np")
    ours = read_images([path], tmp_path, kind)
    assert set(ours) == set(theirs)
    np.testing.assert_array_equal(ours["image_sizes"], theirs["image_sizes"])
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings"), [("LlavaNextImageProcessor", NEXT), ("LlavaOnevisionImageProcessor", ONEVISION)]
)
def test_several_images(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """As a chat template hands them on: all of one conversation together."""
    settings_in(tmp_path, kind, settings)
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    images = [[Image.open(path) for path in paths]]
    theirs = getattr(transformers, f"{kind}Pil")(**settings)(images, return_tensors="np")
    ours = read_images(paths, tmp_path, kind)
    assert {name: array.shape for name, array in ours.items()} == {n: np.shape(a) for n, a in theirs.items()}
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-5, atol=1e-5)


class Words:
    """As much of a tokenizer as a processor asks for."""

    image_token, image_token_id, video_token, video_token_id = "<image>", 99, "<video>", 100


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["llava_next", "llava_onevision", "llava_onevision-clip-tied"])
def test_the_image_tokens_are_those_of_the_processor(
    name: str, size: tuple[int, int], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    following = name == "llava_next"
    kind, settings = ("LlavaNextImageProcessor", NEXT) if following else ("LlavaOnevisionImageProcessor", ONEVISION)
    settings_in(tmp_path, kind, settings)
    arrays = read_images([photograph(tmp_path / "a.png", size)], tmp_path, kind)
    # Its methods alone: the whole class wants torchvision, for videos.
    if following:
        theirs: Any = LlavaNextProcessor.__new__(LlavaNextProcessor)
        theirs.patch_size, theirs.num_additional_image_tokens = 7, 1
        theirs.vision_feature_select_strategy = "default"
    else:
        theirs = LlavaOnevisionProcessor.__new__(LlavaOnevisionProcessor)
        theirs.num_image_tokens, theirs.vision_aspect_ratio = 16, "anyres_max_2" if "-" not in name else "anyres_max_9"
        theirs.vision_feature_select_strategy = "full"
    theirs.image_processor = getattr(transformers, f"{kind}Pil")(**settings)
    theirs.image_token = "<image>"
    text = theirs.replace_image_token(arrays, 0)
    eye = weightscope.open(saved(name)).declaration.tree.eye  # type: ignore[union-attr]
    inputs = {key: torch.as_tensor(array) for key, array in arrays.items() if key in eye.takes}
    assert eye.layouts(inputs) == [(text.count("<image>"),)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image_grid_pinpoints": []}, "settings that cannot be used"),
        ({"image_grid_pinpoints": [[28]]}, "settings that cannot be used"),
        ({"image_grid_pinpoints": [[29, 28]], "do_center_crop": False, "size": 28}, "tiles of several sizes"),
        ({"image_grid_pinpoints": [[16380, 16380]]}, "image_grid_pinpoints of 16,380"),
        ({"size": {"longest_edge": 5}}, "neither a shortest_edge nor height and width"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    settings_in(tmp_path, "LlavaNextImageProcessor", NEXT | settings)
    with pytest.raises(WeightscopeError, match=said):
        read_images([photograph(tmp_path / "a.png", (40, 30))], tmp_path, "LlavaNextImageProcessor")


@pytest.mark.parametrize("name", ["llava_next", "llava_onevision", "video_llava", "vipllava"])
def test_the_command_takes_images(name: str, saved: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    kinds = {
        "llava_next": ("LlavaNextImageProcessor", NEXT),
        "llava_onevision": ("LlavaOnevisionImageProcessor", ONEVISION),
    }
    crop = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    settings_in(directory, *kinds.get(name, ("CLIPImageProcessor", crop)))
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES[:2])]
    options = [option for path in paths for option in ("--image", str(path))]
    options += ["--tokens", "1,5,99,7,99,8", "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    outcome = json.loads(out)
    assert (status, error, outcome["checked"][-1]) == (0, "", "transformers")
    assert "logits" in {stage["stage"] for stage in outcome["compared"]}
