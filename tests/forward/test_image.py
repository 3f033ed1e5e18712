"""An image as its preprocessor_config.json says, against transformers' own processors in their Pillow flavour."""

from __future__ import annotations

import importlib
import io
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weightscope.analyses.forward.images import read_images
from weightscope.errors import WeightscopeError

LLAVA_15 = {
    "crop_size": {"height": 336, "width": 336}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor", "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "LlavaProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 336},
}  # fmt: skip


def read_image(path: Path, directory: Path) -> Any:
    """The pixels that CLIP's processor makes of one image."""
    return read_images([path], directory, "CLIPImageProcessor")["pixel_values"]


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
        (None, b"", "preprocessor_config.json is missing"),
        ("{", b"", "cannot be read"),
        ({"image_processor_type": "ImageGPTImageProcessor"}, b"", "'ImageGPTImageProcessor' is not implemented"),
        (LLAVA_15, b"no image", "it is an image of no known format"),
        (LLAVA_15, b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, "image"),
        (LLAVA_15 | {"size": {"shortest_edge": 10**9}}, None, "has settings that cannot be used"),
        (LLAVA_15 | {"size": {"depth": 3}}, None, "has settings that cannot be used"),
        (LLAVA_15 | {"image_std": "big"}, None, "has settings that cannot be used"),
        (LLAVA_15 | {"crop_size": {"height": -1, "width": 5}}, None, "has settings that cannot be used"),
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


@pytest.mark.parametrize(
    ("width", "height", "changes", "said"),
    [
        (8_000, 7_000, {}, "it has 8,000 × 7,000 pixels; the limit is 50,000,000 pixels"),
        (60_000, 60_000, {}, "it has 60,000 × 60,000 pixels"),
        (2**31 - 1, 2**31 - 1, {}, "it has 2,147,483,647 × 2,147,483,647 pixels"),
        (1, 65_000, {"do_pad": True}, "it is padded to 65,000 × 65,000 pixels; the limit is 50,000,000 pixels"),
        (1, 65_000, {}, "it is resized to 336 × 21,840,000 pixels; the limit is 8,388,608 pixels"),
        (65_000, 1, {}, "it is resized to 21,840,000 × 336 pixels"),
        (50, 40, {"size": {"height": 16_384, "width": 16_384}}, "it is resized to 16,384 × 16,384 pixels"),
        (50, 40, {"size": 16_384}, "it is resized to 20,480 × 16,384 pixels"),
        (5_000, 2_000, {"do_resize": False}, "it is not resized, and has 5,000 × 2,000 pixels"),
    ],
)
def test_too_many_pixels(width: int, height: int, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15 | changes))
    image = black(tmp_path / "image.png", width, height)
    with pytest.raises(WeightscopeError, match=f"{re.escape(said)}.*; give a PNG"):
        read_image(image, tmp_path)


@pytest.mark.parametrize("crop", [{"height": 16_384, "width": 16_384}, 16_384, {"height": 513, "width": 16_384}])
def test_a_crop_of_too_many_pixels(crop: Any, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15 | {"crop_size": crop}))
    with pytest.raises(WeightscopeError, match=r"a crop_size of 16,384 × .* pixels; the limit is 8,388,608 pixels"):
        read_image(picture(tmp_path / "image.png", 50, 40), tmp_path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_camera_s_picture_passes(mode: str, tmp_path: Path) -> None:
    """Of 48 million pixels."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    Image.new(mode, (8_000, 6_000)).save(tmp_path / "image.png", compress_level=1)
    assert read_image(tmp_path / "image.png", tmp_path).shape == (1, 3, 336, 336)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_formats_that_models_are_given(kind: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    path = tmp_path / "image.of-any-name"
    with Image.open(picture(tmp_path / "image.png", 50, 40)) as image:
        image.convert("RGB").save(path, format=kind)
    with Image.open(path) as image:
        image.convert("RGB").save(tmp_path / "as-decoded.png")
    expected = theirs("clip", LLAVA_15, tmp_path / "as-decoded.png")
    np.testing.assert_allclose(read_image(path, tmp_path), expected, rtol=1e-5, atol=2e-5)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n(ran) = showpage\n%%EOF\n"


def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands an EPS to Ghostscript, whatever the file is called."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("gs", "gswin64c", "gswin32c"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (tmp_path / "photo.jpg").write_bytes(EPS)
    with pytest.raises(WeightscopeError, match=r"photo\.jpg: cannot be read as an image .*; give a PNG, JPEG, WebP"):
        read_image(tmp_path / "photo.jpg", tmp_path)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "TGA", "PCX", "JPEG2000", "DDS"])
def test_other_formats_are_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    with Image.open(picture(tmp_path / "image.png", 50, 40)) as image:
        image.save(tmp_path / "photo.jpg", format=kind)
    with pytest.raises(WeightscopeError, match="cannot be read as an image"):
        read_image(tmp_path / "photo.jpg", tmp_path)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def black(path: Path, width: int, height: int) -> Path:
    """A grey PNG that claims a size; its pixels are there where they are few."""
    rows = (b"\0" * (width + 1)) * height if width * height < 11_000_000 else b""
    head = chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + b"\x08\0\0\0\0")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def many_chunks() -> bytes:
    """A PNG of four million empty chunks."""
    head = chunk(b"IHDR", (50).to_bytes(4) * 2 + b"\x08\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"prVt", b"") * 4_000_000


def many_scans() -> bytes:
    """A progressive JPEG whose last scan, of all its 24 million pixels, comes 3,000 times."""
    out = io.BytesIO()
    Image.new("L", (6_000, 4_000), 77).save(out, format="JPEG", progressive=True)
    raw = out.getvalue()
    scan = raw[raw.rindex(b"\xff\xda") : -2]
    return raw[:-2] + scan * 3_000 + raw[-2:]


@pytest.mark.parametrize("content", [many_chunks, many_scans])
def test_images_that_take_long(content: Callable[[], bytes], tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    (tmp_path / "image.jpg").write_bytes(content())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(WeightscopeError, match=r"\(it takes more than 3 s of processor time\)"):
        read_image(tmp_path / "image.jpg", tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5


def test_files_that_are_too_large(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    with (tmp_path / "image.png").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(WeightscopeError, match="it is larger than 64,000,000 bytes"):
        read_image(tmp_path / "image.png", tmp_path)
    with pytest.raises(WeightscopeError, match="it is not a file"):
        read_image(Path("/dev/zero"), tmp_path)
    with (tmp_path / "preprocessor_config.json").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(
        WeightscopeError, match=r"preprocessor_config.json: cannot be read \(it is larger than 1,000,000"
    ):
        read_image(tmp_path / "image.png", tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {}},
        {"size": []},
        {"size": "336"},
        {"size": 0},
        {"size": -336},
        {"size": 10**30},
        {"size": {"shortest_edge": 336, "longest_edge": 400}},
        {"size": {"height": 336}},
        {"size": {"height": 0, "width": 336}},
        {"size": {"height": "336", "width": 336}},
        {"crop_size": {"shortest_edge": 336}},
        {"crop_size": {"height": [1], "width": 336}},
        {"resample": 99},
        {"resample": "bicubic"},
        {"resample": -1},
        {"do_resize": "yes"},
        {"do_pad": 1},
        {"do_pad": True, "image_mean": [7.0, 7.0, 7.0]},
        {"rescale_factor": 1e300},
        {"rescale_factor": "1/255"},
        {"image_mean": [0.5]},
        {"image_mean": [0.5, 0.5]},
        {"image_mean": [0.5] * 100_000},
        {"image_mean": ["a", "b", "c"]},
        {"image_mean": {"r": 0.5}},
        {"image_mean": [1e300, 0, 0]},
        {"image_std": [0, 1, 1]},
        {"image_std": [1e-300, 1, 1]},
        {"image_std": [[1], [1], [1]]},
    ],
    ids=str,
)
def test_settings_that_say_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15 | changes))
    image = picture(tmp_path / "image.png", 50, 40)
    with pytest.raises(WeightscopeError, match=r"preprocessor_config.json: has settings that cannot be used"):
        read_image(image, tmp_path)


def test_no_such_image(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LLAVA_15))
    with pytest.raises(WeightscopeError, match="cannot be read as an image"):
        read_image(tmp_path / "none.png", tmp_path)
