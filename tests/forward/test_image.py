"""An image as its preprocessor_config.json says, against transformers' own processors in their Pillow flavour."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weightscope.analyses.forward.image import read_image
from weightscope.errors import WeightscopeError

LLAVA_15 = {
    "crop_size": {"height": 336, "width": 336}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor", "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "LlavaProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 336},
}  # fmt: skip


def picture(path: Path, width: int, height: int, mode: str = "RGB") -> Path:
    channels = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
    noise = np.random.default_rng(5).integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(noise.squeeze(), mode).resize((width, height)).save(path)
    return path


def theirs(kind: str, settings: dict[str, Any], path: Path) -> np.ndarray[Any, Any]:
    module = importlib.import_module(f"transformers.models.{kind.lower()}.image_processing_pil_{kind.lower()}")
    kinds = {"clip": "CLIPImageProcessorPil", "llava": "LlavaImageProcessorPil"}
    keys = {k: v for k, v in settings.items() if k not in ("image_processor_type", "processor_class")}
    processor = getattr(module, kinds[kind.lower()])(**keys)
    return np.asarray(processor(Image.open(path), return_tensors="np")["pixel_values"])


@pytest.mark.parametrize("size", [(51, 34), (34, 51), (336, 336), (20, 400)])
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("clip", {}),
        ("clip", {"resample": 2, "size": {"height": 40, "width": 30}, "crop_size": {"height": 28, "width": 28}}),
        ("clip", {"size": {"height": 21, "width": 30}, "crop_size": {"height": 28, "width": 35}}),
        ("clip", {"do_center_crop": False, "do_rescale": False, "size": {"height": 28, "width": 28}}),
        ("clip", {"do_resize": False, "do_normalize": False, "crop_size": {"height": 31, "width": 30}}),
        ("llava", {"do_pad": True, "image_processor_type": "LlavaImageProcessor"}),
    ],
    ids=["as-published", "two-sides", "crop-beyond", "no-crop", "no-resize", "padded-to-square"],
)
def test_pixels(kind: str, changes: dict[str, Any], size: tuple[int, int], tmp_path: Path) -> None:
    settings = LLAVA_15 | changes
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    image = picture(tmp_path / "image.png", *size)
    expected = theirs(kind, settings, image)
    pixels = read_image(image, tmp_path)
    assert pixels.dtype == np.float32
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_other_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    image = picture(tmp_path / "image.png", 50, 40, mode)
    np.testing.assert_allclose(read_image(image, tmp_path), theirs("clip", LLAVA_15, image), rtol=1e-5, atol=2e-5)


def test_numbers_for_sizes_as_first_published(tmp_path: Path) -> None:
    """The first LLaVA and CLIP files say `"size": 336` and name a feature extractor."""
    old = LLAVA_15 | {"size": 336, "crop_size": 336, "feature_extractor_type": "CLIPFeatureExtractor"}
    old.pop("image_processor_type")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    image = picture(tmp_path / "image.png", 50, 40)
    np.testing.assert_allclose(read_image(image, tmp_path), theirs("clip", LLAVA_15, image), rtol=1e-5, atol=2e-5)


def test_settings_within_processor_config(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": LLAVA_15, "patch_size": 14}))
    image = picture(tmp_path / "image.png", 50, 40)
    assert read_image(image, tmp_path).shape == (1, 3, 336, 336)


def test_pictures_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15 | {"do_center_crop": False}))
    upright = Image.new("RGB", (40, 80), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg", tmp_path).shape == (1, 3, 336, 672)


@pytest.mark.parametrize(
    ("settings", "content", "said"),
    [
        (None, b"", "no preprocessor_config.json"),
        ("{", b"", "cannot be read"),
        ({"image_processor_type": "Qwen2VLImageProcessor"}, b"", "'Qwen2VLImageProcessor' is not implemented"),
        (LLAVA_15, b"no image", "is no image that Pillow knows"),
        (LLAVA_15, b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, "image"),
        (LLAVA_15 | {"size": {"shortest_edge": 10**9}}, None, "says nothing that can be done"),
        (LLAVA_15 | {"size": {"depth": 3}}, None, "says nothing that can be done"),
        (LLAVA_15 | {"image_std": "big"}, None, "says nothing that can be done"),
        (LLAVA_15 | {"crop_size": {"height": -1, "width": 5}}, None, "says nothing that can be done"),
    ],
)
def test_bad_input(settings: Any, content: bytes | None, said: str, tmp_path: Path) -> None:
    if settings is not None:
        text = settings if isinstance(settings, str) else json.dumps(settings)
        (tmp_path / "preprocessor_config.json").write_text(text)
    path = tmp_path / "image.png"
    if content is None:
        picture(path, 50, 40)
    else:
        path.write_bytes(content)
    with pytest.raises(WeightscopeError, match=said):
        read_image(path, tmp_path)


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    image = picture(tmp_path / "image.png", 50, 40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with pytest.raises(WeightscopeError, match="too many pixels"):
        read_image(image, tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(WeightscopeError, match="too many pixels"):
        read_image(image, tmp_path)


def test_no_such_image(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    with pytest.raises(WeightscopeError, match="cannot be read as an image"):
        read_image(tmp_path / "none.png", tmp_path)
