"""Vision towers alone against transformers: features or class scores of an image, and that every tensor matters."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
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
from tests.forward.test_image import picture
from weightscope.analyses.forward.images import read_images

Run = Callable[..., tuple[int, str, str]]
KINDS = ("ViT", "Dinov2", "Dinov2WithRegisters", "DINOv3ViT")
TOWERS = [tiny for tiny in TINY if tiny.kind in KINDS]
every_tower = pytest.mark.parametrize("tiny", TOWERS, ids=lambda tiny: tiny.name)
IMAGE: dict[str, Any] = {"pixel_values": torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))}


def loaded(tiny: Tiny, directory: Path) -> Any:
    return (
        getattr(transformers, f"{tiny.kind}{tiny.model}").from_pretrained(directory, attn_implementation="eager").eval()
    )


def ours(directory: Path) -> torch.Tensor:
    output = weightscope.open(directory).forward((), **IMAGE).output
    assert output is not None
    return output


@every_tower
def test_features_and_classes(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    with torch.no_grad():
        theirs = loaded(tiny, saved(tiny.name))(**IMAGE)
    expected = theirs.logits if "logits" in theirs else theirs.last_hidden_state[0]
    assert seeing.off(ours(saved(tiny.name)), expected) < 1e-4


@every_tower
def test_every_tensor_matters(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """But what stands for masked patches, the pooler, which the features do not go through, and what all keys share."""
    tensors, before = load_file(saved(tiny.name) / "model.safetensors"), ours(saved(tiny.name))
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    generator, still = torch.Generator().manual_seed(5), set()
    for name, tensor in tensors.items():
        other = tensor + torch.randn(tensor.shape, generator=generator)
        save_file(tensors | {name: other}, tmp_path / "model.safetensors", metadata={"format": "pt"})
        if seeing.off(ours(tmp_path), before) < 1e-3:
            still.add(name)
    keys = {name for name in tensors if tiny.kind != "DINOv3ViT" and name.endswith(".key.bias")}
    assert still == keys | {name for name in tensors if "mask_token" in name or "pooler" in name}


@every_tower
def test_as_transformers_holds_them(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    save_file(loaded(tiny, saved(tiny.name)).state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert [finding for finding in weightscope.open(tmp_path).check() if finding.severity == "error"] == []
    assert seeing.off(ours(tmp_path), ours(saved(tiny.name))) < 1e-5


SQUARE: dict[str, Any] = {"size": {"height": 12, "width": 12}}
CROPPED: dict[str, Any] = {"size": {"shortest_edge": 15}, "crop_size": {"height": 12, "width": 12}}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("ViT", {}), ("ViT", SQUARE | {"resample": 3, "image_mean": [0.4, 0.5, 0.6]}), ("Bit", {}), ("Bit", CROPPED)],
)
def test_pictures(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    module = importlib.import_module(f"transformers.models.{kind.lower()}.image_processing_pil_{kind.lower()}")
    path = picture(tmp_path / "image.png", 51, 34)
    said = {"image_processor_type": f"{kind}ImageProcessor", **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_images([path], tmp_path, "x")["pixel_values"]
    expected = getattr(module, f"{kind}ImageProcessorPil")(**settings)(Image.open(path), return_tensors="np")
    np.testing.assert_allclose(found, expected["pixel_values"], atol=1e-5)


def test_a_picture_of_a_tower_alone(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    shutil.copytree(saved("vit-classes"), tmp_path / "m")
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(SQUARE))
    path = picture(tmp_path / "image.png", 51, 34)
    status, out, error = run("forward", tmp_path / "m", "--image", path, "--format", "json")
    assert (status, error) == (0, "")
    assert json.loads(out)["stages"][-1]["shape"] == [1, 1, 5]
