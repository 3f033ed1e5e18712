"""GLM and PaddleOCR-VL with two images that are not square, by transformers' own; every tensor of the eye matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from tests.forward.test_grid_images import GRIDS, TOKENS, pixels
from tests.forward.test_image import picture
from weightscope.analyses.forward.images import read_images

TEXT = [1, 2, 3, 40, 50]
GLM = [tiny for tiny in TINY if tiny.kind.startswith(("Glm", "Paddle")) and tiny.model == "ForConditionalGeneration"]
IMAGES: dict[str, Any] = {"pixel_values": pixels(), "image_grid_thw": GRIDS}
# Patches of PaddleOCR-VL are pictures.
RASTER: dict[str, Any] = {"pixel_values": pixels()[:, :48].reshape(-1, 3, 4, 4), "image_grid_thw": GRIDS}


def images(name: str) -> dict[str, Any]:
    return RASTER if name.startswith("paddle") else IMAGES


def theirs(directory: Path, name: str) -> Any:
    marks = (torch.tensor([TOKENS]) == 95).int()
    return seeing.theirs(directory, TOKENS, images(name) | {"mm_token_type_ids": marks})


@pytest.mark.parametrize("tiny", GLM, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    assert seeing.off(seeing.ours(directory, TOKENS, images(tiny.name)), theirs(directory, tiny.name)) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


@pytest.mark.parametrize("name", ["glm4v-biases-tied", "glm_ocr", "paddleocr_vl"])
def test_every_tensor_of_the_eye_moves_the_logits(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    names = [name for name in load_file(directory / "model.safetensors") if "visual" in name or "mlp_AR" in name]
    assert not seeing.unmoving(directory, TOKENS, images(name), names)


@pytest.mark.parametrize("tiny", GLM, ids=lambda tiny: tiny.name)
def test_as_transformers_holds_them(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Mixtures with their experts stacked."""
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    before = seeing.ours(directory, TOKENS, images(tiny.name))
    seeing.as_held(directory)
    assert [finding for finding in weightscope.open(directory).check() if finding.severity == "error"] == []
    assert seeing.off(seeing.ours(directory, TOKENS, images(tiny.name)), before) < 1e-5


@pytest.mark.parametrize("size", [(51, 134), (300, 40), (9, 20), (28, 20)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patch_size": 4, "size": {"shortest_edge": 600, "longest_edge": 2000}, "resample": 2},
        {
            "patch_size": 6, "merge_size": 1, "temporal_patch_size": 3,
            "size": {"shortest_edge": 600, "longest_edge": 9000},
        },
    ],
)  # fmt: skip
def test_pictures(size: tuple[int, int], settings: dict[str, Any], tmp_path: Path) -> None:
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    path = picture(tmp_path / "image.png", *size)
    said = {"image_processor_type": "Glm46VImageProcessorFast", **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_images([path], tmp_path, "x")
    expected = Glm4vImageProcessorPil(**settings)(Image.open(path), return_tensors="np")
    np.testing.assert_array_equal(found["image_grid_thw"], expected["image_grid_thw"])
    np.testing.assert_allclose(found["pixel_values"], expected["pixel_values"], atol=1e-5)


@pytest.mark.parametrize("size", [(51, 134), (300, 40), (9, 20), (28, 20)])
@pytest.mark.parametrize(
    "settings",
    [{}, {"patch_size": 4, "size": {"shortest_edge": 600, "longest_edge": 2000}, "resample": 2}, {"merge_size": 1}],
)
def test_pictures_row_by_row(size: tuple[int, int], settings: dict[str, Any], tmp_path: Path) -> None:
    from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import PaddleOCRVLImageProcessorPil

    path = picture(tmp_path / "image.png", *size)
    said = {"image_processor_type": "PaddleOCRVLImageProcessor", **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_images([path], tmp_path, "x")
    expected = PaddleOCRVLImageProcessorPil(**settings)(Image.open(path), return_tensors="np")
    np.testing.assert_array_equal(found["image_grid_thw"], expected["image_grid_thw"])
    np.testing.assert_allclose(found["pixel_values"], expected["pixel_values"], atol=1e-5)
