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
from PIL import Image
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.families.tiny import TINY, Tiny
from tests.forward import seeing
from tests.forward.test_image import picture
from weightscope.analyses.forward.images import read_images
from weightscope.errors import UsageError

Run = Callable[..., tuple[int, str, str]]
KINDS = (
    "ViT", "ViTMAE", "DeiT", "Beit", "Data2VecVision", "Dinov2", "Dinov2WithRegisters", "DINOv3ViT", "Swin", "ConvNext",
    "ConvNextV2",
)  # fmt: skip
TOWERS = [tiny for tiny in TINY if tiny.kind in KINDS]
every_tower = pytest.mark.parametrize("tiny", TOWERS, ids=lambda tiny: tiny.name)


def image(tiny: Tiny) -> dict[str, Any]:
    """Pixels, and which patches are masked where the model has a vector for that."""
    noise, channels, side = torch.Generator().manual_seed(1), tiny.keys.get("num_channels", 3), tiny.keys["image_size"]
    pixels = {"pixel_values": torch.randn(1, channels, side, side, generator=noise)}
    patches = (side // tiny.keys["patch_size"]) ** 2
    if tiny.kind == "ViTMAE":
        return pixels | {"noise": torch.rand(1, patches, generator=noise)}
    if not any("mask_token" in name for name in tiny.build().state_dict()):
        return pixels
    return pixels | {"bool_masked_pos": torch.rand(1, patches, generator=noise) < 0.4}


def ours(directory: Path, inputs: dict[str, Any]) -> torch.Tensor:
    return features(weightscope.open(directory), inputs)


def features(model: weightscope.Model, inputs: dict[str, Any]) -> torch.Tensor:
    output = model.forward((), **inputs).output
    assert output is not None
    return output


def output(tiny: Tiny, found: Any) -> torch.Tensor:
    """What transformers' model puts out; of pixels a row for each patch."""
    if "reconstruction" in found:
        rows: torch.Tensor = torch.nn.functional.pixel_unshuffle(found.reconstruction, tiny.keys["encoder_stride"])
        return rows.flatten(2)[0].T
    features: torch.Tensor = found.logits if "logits" in found else found.last_hidden_state
    return features[0].flatten(1).T if features.ndim == 4 else features.flatten(0, -2)


@every_tower
def test_features_and_heads(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    inputs = image(tiny)
    with torch.no_grad():
        theirs = output(tiny, tiny.build()(**inputs))
    assert seeing.off(ours(saved(tiny.name), inputs), theirs) < 1e-4


@every_tower
def test_every_tensor_matters(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """But what pools, which the features do not go through, and what all keys share."""
    inputs = image(tiny)
    shutil.copytree(saved(tiny.name), tmp_path, dirs_exist_ok=True)
    tensors, model = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path)
    before = features(model, inputs)
    generator, still = torch.Generator().manual_seed(5), set()
    for name, tensor in tensors.items():
        with altered(tmp_path, {name: tensor + 3 * torch.randn(tensor.shape, generator=generator)}):
            if seeing.off(features(model, inputs), before) < 1e-3:
                still.add(name)
    keys = {name for name in tensors if tiny.kind != "DINOv3ViT" and name.endswith(".key.bias")}
    pools = ("pooler", "layernorm.") if tiny.kind.startswith("ConvNext") else ("pooler",)
    assert still == keys | {name for name in tensors if name.startswith(pools)}


@every_tower
def test_as_transformers_holds_them(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    save_file(tiny.build().state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert [finding for finding in weightscope.open(tmp_path).check() if finding.severity == "error"] == []
    inputs = image(tiny)
    assert seeing.off(ours(tmp_path, inputs), ours(saved(tiny.name), inputs)) < 1e-5


def test_noise_that_is_missing_or_of_another_length(saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TOWERS if tiny.name == "vit_mae")
    inputs = image(tiny)
    with pytest.raises(UsageError, match="noise is missing"):
        ours(saved(tiny.name), {"pixel_values": inputs["pixel_values"]})
    with pytest.raises(UsageError, match=r"noise has shape \[1, 8\]: an image has 9 patches"):
        ours(saved(tiny.name), inputs | {"noise": inputs["noise"][:, 1:]})


def test_a_mask_of_another_length(saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TOWERS if tiny.name == "vit-pixels")
    with pytest.raises(UsageError, match=r"bool_masked_pos has shape \[1, 8\]: an image has 9 patches"):
        ours(saved(tiny.name), image(tiny) | {"bool_masked_pos": torch.zeros(1, 8, dtype=torch.bool)})


@pytest.mark.parametrize("name", ["swin", "swin-classes", "convnext", "convnextv2-classes"])
def test_images_of_another_size(name: str, saved: Callable[[str], Path]) -> None:
    tiny = next(tiny for tiny in TOWERS if tiny.name == name)
    inputs = {"pixel_values": torch.randn(1, 3, 37, 29, generator=torch.Generator().manual_seed(1))}
    with torch.no_grad():
        theirs = output(tiny, tiny.build()(**inputs))
    assert seeing.off(ours(saved(tiny.name), inputs), theirs) < 1e-4


@pytest.mark.parametrize(
    ("name", "side", "said"),
    [
        ("swin", 9, "the image is too small: vision stage 2 layer 0 has 2 × 2 patches in windows of 3 × 3"),
        ("swin-places-no-bias", 22, "an image of 22 × 22 pixels has 121 patches, and there are 100 positions"),
        ("convnext", 11, "an image of 11 × 11 pixels is too small"),
    ],
)
def test_images_that_do_not_fit(name: str, side: int, said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        ours(saved(name), {"pixel_values": torch.zeros(1, 3, side, side)})


@pytest.mark.parametrize(
    ("name", "module", "places"),
    [
        ("swin", "encoder.layers.0.blocks.1.attention.self", 9),
        ("beit", "encoder.layer.1.attention.attention.relative_position_bias", 10),
    ],
)
def test_the_index_that_older_files_hold(
    name: str, module: str, places: int, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """A buffer that transformers 4 registered and 5 makes anew: known, not counted, and not used."""
    shutil.copytree(saved(name), tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    index = torch.zeros(places, places, dtype=torch.int64)
    beside = {f"{module}.relative_position_index": index}
    save_file(tensors | beside, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    model, before = weightscope.open(tmp_path / "m"), weightscope.open(saved(name))
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == before.parameters.total
    tiny = next(tiny for tiny in TOWERS if tiny.name == name)
    assert torch.equal(ours(tmp_path / "m", image(tiny)), ours(saved(name), image(tiny)))


SQUARE: dict[str, Any] = {"size": {"height": 12, "width": 12}}
CROPPED: dict[str, Any] = {"size": {"shortest_edge": 15}, "crop_size": {"height": 12, "width": 12}}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("ViT", {}), ("ViT", SQUARE | {"resample": 3, "image_mean": [0.4, 0.5, 0.6]}), ("Bit", {}), ("Bit", CROPPED),
     ("Beit", {}), ("Beit", {"size": 30}), ("DeiT", {}), ("DeiT", SQUARE | {"do_center_crop": False}),
     ("ConvNext", {}), ("ConvNext", {"size": {"shortest_edge": 20}, "crop_pct": 0.7}), ("ConvNext", {"size": 31})],
)  # fmt: skip
def test_pictures(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    module = importlib.import_module(f"transformers.models.{kind.lower()}.image_processing_pil_{kind.lower()}")
    path = picture(tmp_path / "image.png", 51, 34)
    said = {"image_processor_type": f"{kind}ImageProcessor", **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_images([path], tmp_path, "x")["pixel_values"]
    expected = getattr(module, f"{kind}ImageProcessorPil")(**settings)(Image.open(path), return_tensors="np")
    np.testing.assert_allclose(found, expected["pixel_values"], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("vit", ["embedding", "layer 0", "layer 1", "pooled", "output"]),
        ("deit-taught", ["embedding", "layer 0", "layer 1", "class scores"]),
        ("beit-classes", ["embedding", "layer 0", "layer 1", "class scores"]),
        ("data2vec-vision", ["embedding", "layer 0", "layer 1", "output"]),
        ("swin", ["embedding", "pooled", "output"]),
        ("convnext-classes", ["class scores"]),
        ("clip_vision_model", ["embedding", "layer 0", "layer 1", "pooled", "output"]),
    ],
)
def test_compare_with_transformers(
    name: str, stages: list[str], saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    side = tiny.keys["image_size"]
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    np.savez(tmp_path / "inputs.npz", pixel_values=noise.numpy())
    options = ("--pixels", tmp_path / "inputs.npz", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", saved(name), *options)
    assert (status, error) == (0, "")
    assert [row["stage"] for row in json.loads(out)["compared"]] == stages


def test_a_picture_of_a_tower_alone(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    shutil.copytree(saved("vit-classes"), tmp_path / "m")
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps(SQUARE))
    path = picture(tmp_path / "image.png", 51, 34)
    status, out, error = run("forward", tmp_path / "m", "--image", path, "--format", "json")
    assert (status, error) == (0, "")
    assert json.loads(out)["stages"][-1]["shape"] == [1, 1, 5]
