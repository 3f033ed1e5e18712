"""SAM against transformers: masks and scores of points, boxes and masks, and that every tensor matters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

import weightscope
from tests.altered import altered
from tests.families.tiny import TINY, Tiny
from tests.forward import seeing
from tests.forward.test_image import picture
from weightscope.analyses.forward.images import read_images
from weightscope.errors import UsageError

Run = Callable[..., tuple[int, str, str]]
SEGMENTING = [tiny for tiny in TINY if tiny.kind == "Sam"]
every_sam = pytest.mark.parametrize("tiny", SEGMENTING, ids=lambda tiny: tiny.name)
POINTS = torch.tensor([[[[3.0, 7.5], [12.0, 4.0], [0.0, 0.0]], [[18.0, 1.0], [5.0, 5.0], [9.0, 2.0]]]])
LABELS = torch.tensor([[[1, 0, -10], [1, -1, 0]]])
BOXES = torch.tensor([[[2.0, 3.0, 11.0, 17.0], [0.0, 0.0, 19.0, 6.0]]])


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


PIXELS = noise(1, 3, 20, 20)
PROMPTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "points": {"input_points": POINTS, "input_labels": LABELS},
    "points without labels": {"input_points": POINTS},
    "boxes": {"input_boxes": BOXES},
    "all": {
        "input_points": POINTS, "input_labels": LABELS, "input_boxes": BOXES, "input_masks": noise(1, 1, 20, 20),
    },
}  # fmt: skip


def lively(tiny: Tiny, target: Path) -> Any:
    """The model under weights by which its every part shows, saved there."""
    model = seeing.enlivened(tiny.build())
    model.save_pretrained(target)
    return model


def ours(directory: Path, inputs: dict[str, Any]) -> torch.Tensor:
    return masks(weightscope.open(directory), inputs)


def masks(model: weightscope.Model, inputs: dict[str, Any]) -> torch.Tensor:
    output = model.forward((), pixel_values=PIXELS, **inputs).output
    assert output is not None
    return output


@every_sam
def test_masks(tiny: Tiny, tmp_path: Path) -> None:
    model = lively(tiny, tmp_path)
    for name, prompts in PROMPTS.items():
        with torch.no_grad():
            expected = model(pixel_values=PIXELS, **prompts).pred_masks
        assert seeing.off(ours(tmp_path, prompts), expected.flatten(0, 2).flatten(1)) < 1e-4, name


@every_sam
def test_every_tensor_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But what all keys share, and what is only of the scores, which are a stage."""
    lively(tiny, tmp_path)
    tensors, model = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path)
    before = {name: masks(model, PROMPTS[name]) for name in ("points", "all")}
    generator, still = torch.Generator().manual_seed(5), set()
    for name, tensor in tensors.items():
        changed = tensor + 4 * torch.randn(tensor.shape, generator=generator)
        with altered(tmp_path, {name: changed}):
            if all(seeing.off(masks(model, PROMPTS[kind]), output) < 1e-4 for kind, output in before.items()):
                still.add(name)
    scores = {name for name in tensors if ".iou_prediction_head." in name}
    first_mask = {name for name in tensors if ".output_hypernetworks_mlps.0." in name}
    assert still == scores | first_mask | {name for name in tensors if name.endswith("k_proj.bias")}


@every_sam
def test_scores_and_masks_are_those_of_transformers(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    lively(tiny, tmp_path)
    arrays: dict[str, Any] = {"pixel_values": PIXELS.numpy()}
    arrays |= {name: value.numpy() for name, value in PROMPTS["points"].items()}
    np.savez(tmp_path / "inputs.npz", **arrays)
    options = ("--pixels", tmp_path / "inputs.npz", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", tmp_path, *options)
    assert (status, error) == (0, "")
    assert [row["stage"] for row in json.loads(out)["compared"]] == [
        "embedding", "layer 0", "layer 1", "layer 2", "iou scores", "masks",
    ]  # fmt: skip


def test_the_image_encoder_alone(saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == "sam_vision_model")
    with torch.no_grad():
        expected = tiny.build()(PIXELS).last_hidden_state
    assert seeing.off(ours(saved(tiny.name), {}), expected[0].flatten(1).T) < 1e-4


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"input_points": POINTS[0]}, r"input_points has shape \[2, 3, 2\], not \[1, prompts, points, 2\]"),
        ({"input_boxes": BOXES[:, :, :2]}, r"input_boxes has shape \[1, 2, 2\], not \[1, prompts, 4\]"),
        ({"input_points": POINTS, "input_boxes": BOXES[:, :1]}, "input_points has 2 prompts, and input_boxes 1"),
        ({"input_labels": LABELS}, r"input_labels has shape \[1, 2, 3\], and input_points tells \[\]"),
        ({"input_masks": PIXELS[:, :1, 1:]}, r"input_masks has shape \[1, 1, 19, 20\], not \[1, 1, 20, 20\]"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        ours(saved("sam"), inputs)


@pytest.mark.parametrize("settings", [
    {}, {"size": {"longest_edge": 40}, "pad_size": {"height": 44, "width": 40}, "resample": 3}, {"do_pad": False},
])  # fmt: skip
def test_pictures(settings: dict[str, Any], tmp_path: Path) -> None:
    path = picture(tmp_path / "image.png", 51, 34)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    found = read_images([path], tmp_path, "SamImageProcessor")["pixel_values"]
    expected = SamImageProcessorPil(**settings)(Image.open(path), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_picture_at_the_command_line(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    shutil.copytree(saved("sam"), tmp_path / "m")
    settings = {"size": {"longest_edge": 20}, "pad_size": {"height": 20, "width": 20}}
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(settings))
    path = picture(tmp_path / "image.png", 51, 34)
    status, out, error = run("forward", tmp_path / "m", "--image", path, "--format", "json")
    assert (status, error) == (0, "")
    assert json.loads(out)["stages"][-1]["shape"] == [1, 3, 400]
