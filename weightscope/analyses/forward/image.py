"""An image file as a vision encoder takes it: decoded by Pillow, sized and scaled as preprocessor_config.json says.

Source: `CLIPImageProcessor` and `LlavaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError, WeightscopeError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

KNOWN = ("CLIPImageProcessor", "CLIPFeatureExtractor", "LlavaImageProcessor")
MAX_SETTINGS = 10_000_000
MAX_SIDE = 16_384
# What the classes take where the file says nothing; means and deviations are CLIP's (arXiv 2103.00020).
DEFAULTS: dict[str, Any] = {
    "do_convert_rgb": True,
    "do_pad": False,
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def read_image(path: Path, directory: Path) -> np.ndarray[Any, Any]:
    """Pixels, float32 [1, 3, height, width].

    Raises:
        UsageError: the file cannot be read as an image.
        CheckpointError: there is no preprocessor_config.json, or it says nothing that can be done.
        NotImplementedByWeightscope: an image processor that is not implemented, by name.
        WeightscopeError: Pillow is not installed.
    """
    import numpy as np

    settings, source = _settings(directory)
    image = _decode(path)
    try:
        if settings["do_pad"]:
            image = _square(image, settings["image_mean"])
        if settings["do_resize"]:
            image = _resize(image, settings["size"], int(settings["resample"]))
        pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)
        if settings["do_center_crop"]:
            pixels = _crop(pixels, settings["crop_size"])
        if settings["do_rescale"]:
            pixels = pixels * np.float32(settings["rescale_factor"])
        if settings["do_normalize"]:
            mean, deviation = (
                np.array(settings[key], np.float32)[:, None, None] for key in ("image_mean", "image_std")
            )
            pixels = (pixels - mean) / deviation
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"says nothing that can be done ({error!r})", where=source, code="config-invalid"
        ) from None
    return np.ascontiguousarray(pixels[None])


def _settings(directory: Path) -> tuple[dict[str, Any], Path]:
    """The image processor's settings; transformers 5 may write them into processor_config.json."""
    for name, part in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = directory / name
        if not path.is_file() or path.stat().st_size > MAX_SETTINGS:
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"cannot be read ({error})", where=path, code="config-invalid") from None
        found = data.get(part) if part and isinstance(data, dict) else data
        if not isinstance(found, dict):
            continue
        kind = str(found.get("image_processor_type") or found.get("feature_extractor_type") or KNOWN[0])
        if kind.removesuffix("Fast").removesuffix("Pil") not in KNOWN:
            raise NotImplementedByWeightscope(f"the image processor {kind!r} is not implemented", where=path)
        return DEFAULTS | {key: value for key, value in found.items() if value is not None}, path
    raise CheckpointError(
        "there is no preprocessor_config.json to prepare an image by",
        where=directory,
        hint="fetch it from the model's repository",
        code="config-missing",
    )


def _decode(path: Path) -> Image:
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise WeightscopeError("Pillow is not installed", hint="install weightscope-cli[forward]") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _opaque(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UsageError("is no image that Pillow knows", where=path) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UsageError("has too many pixels", where=path, hint="scale it down first") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"cannot be read as an image ({error})", where=path, hint="check the file") from None


def _opaque(image: Image) -> Image:
    """In RGB, what shows through in white."""
    from PIL import Image as Images

    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    white = Images.new("RGBA", image.size, (255, 255, 255, 255))
    return Images.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _square(image: Image, mean: list[float]) -> Image:
    """In the middle of a square, the rest in the mean colour."""
    from PIL import Image as Images

    side = max(image.size)
    background = tuple(int(part * 255) for part in mean)
    canvas = Images.new("RGB", (side, side), background)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def _resize(image: Image, size: dict[str, int] | int, resample: int) -> Image:
    if isinstance(size, int):
        size = {"shortest_edge": size}
    if "shortest_edge" in size:
        if "longest_edge" in size:
            raise ValueError("size with shortest_edge and longest_edge")
        short, long = sorted(image.size)
        longer = int(size["shortest_edge"] * long / short)
        width, height = (
            (size["shortest_edge"], longer) if image.width <= image.height else (longer, size["shortest_edge"])
        )
    else:
        width, height = size["width"], size["height"]
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(f"a size of {width} × {height}")
    return image.resize((width, height), resample=resample)


def _crop(pixels: np.ndarray[Any, Any], size: dict[str, int] | int) -> np.ndarray[Any, Any]:
    """The middle [3, height, width], with zeros around what is smaller."""
    import numpy as np

    height, width = (size, size) if isinstance(size, int) else (size["height"], size["width"])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(f"a crop of {width} × {height}")
    tall, wide = pixels.shape[1:]
    around = [
        (0, 0),
        *(
            (-(-max(wanted - there, 0) // 2), max(wanted - there, 0) // 2)
            for wanted, there in ((height, tall), (width, wide))
        ),
    ]
    padded = np.pad(pixels, around)
    # The padding's larger half is before; the crop's offset is counted from the picture.
    top, left = (
        (there - wanted) // 2 + pad[0] for wanted, there, pad in ((height, tall, around[1]), (width, wide, around[2]))
    )
    return padded[:, max(top, 0) :, max(left, 0) :][:, :height, :width]
