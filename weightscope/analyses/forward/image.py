"""An image file as a vision encoder takes it: decoded by Pillow, sized and scaled as preprocessor_config.json says.

Source: `CLIPImageProcessor` and `LlavaImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from weightscope.analyses.forward.child import Child, ChildError
from weightscope.analyses.forward.children.image import SIZE
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError, WeightscopeError

if TYPE_CHECKING:
    import numpy as np

KNOWN = ("CLIPImageProcessor", "CLIPFeatureExtractor", "LlavaImageProcessor")
MAX_SETTINGS = 1_000_000
MAX_SIDE = 16_384
# Of a file; of the image in it and of the square it is padded to; of what a model is given, 2,896 × 2,896.
MAX_IMAGE = 64_000_000
MAX_PIXELS = 50_000_000
MAX_INPUT_PIXELS = 2**23
# Of processor time; an image of the most pixels takes half of it.
IMAGE_SECONDS = 3.0

S = TypeVar("S", bound=msgspec.Struct)
Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]
Level = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Deviation = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]


class Sides(msgspec.Struct, frozen=True):
    """A size in pixels: both sides, or the shorter edge."""

    height: Side | None = None
    width: Side | None = None
    shortest_edge: Side | None = None
    longest_edge: Side | None = None


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of colours; where nothing is said, means and deviations are CLIP's (arXiv 2103.00020)."""

    do_rescale: bool = True
    rescale_factor: Level = 1 / 255
    do_normalize: bool = True
    image_mean: tuple[Level, Level, Level] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.26862954, 0.26130258, 0.27577711)

    def scale(self, pixels: np.ndarray[Any, Any]) -> None:
        """Rescale and normalize float32 [3, height, width] in place."""
        import numpy as np

        if self.do_rescale:
            pixels *= np.float32(self.rescale_factor)
        if self.do_normalize:
            mean, deviation = (
                np.array(values, np.float32)[:, None, None] for values in (self.image_mean, self.image_std)
            )
            pixels -= mean
            pixels /= deviation


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the classes take."""

    do_pad: bool = False
    do_resize: bool = True
    size: Side | Sides = Sides(shortest_edge=224)
    resample: Annotated[int, msgspec.Meta(ge=0, le=5)] = 3
    do_center_crop: bool = True
    crop_size: Side | Sides = Sides(height=224, width=224)

    @property
    def background(self) -> tuple[int, ...] | None:
        """The colour around an image that is padded to a square, which is its mean.

        Raises:
            ValueError: the mean is no colour.
        """
        if not self.do_pad:
            return None
        colour = tuple(int(part * 255) for part in self.image_mean)
        if not all(0 <= part <= 255 for part in colour):
            raise ValueError(f"an image_mean of {colour}, which is not a colour")
        return colour

    @property
    def resized(self) -> tuple[int, ...] | None:
        """The shorter edge, or width and height, to resize to.

        Raises:
            ValueError: the size says neither.
        """
        if not self.do_resize:
            return None
        if isinstance(self.size, int):
            return (self.size,)
        match (self.size.width, self.size.height, self.size.shortest_edge, self.size.longest_edge):
            case (None, None, int(edge), None):
                return (edge,)
            case (int(width), int(height), None, None):
                return (width, height)
            case _:
                raise ValueError("a size that is neither a shortest_edge nor height and width")

    @property
    def cropped(self) -> tuple[int, int] | None:
        """Height and width to crop to.

        Raises:
            ValueError: the size does not say both, or is too large.
        """
        if not self.do_center_crop:
            return None
        size = self.crop_size
        height, width = (size, size) if isinstance(size, int) else (size.height, size.width)
        if height is None or width is None:
            raise ValueError("a crop_size without height and width")
        if height * width > MAX_INPUT_PIXELS:
            raise ValueError(f"a crop_size of {width:,} × {height:,} pixels; the limit is {MAX_INPUT_PIXELS:,} pixels")
        return height, width


def read_image(path: Path, directory: Path) -> np.ndarray[Any, Any]:
    """Pixels, float32 [1, 3, height, width].

    Raises:
        UsageError: the file cannot be read as an image.
        CheckpointError: there is no preprocessor_config.json, or it says nothing that can be done.
        NotImplementedByWeightscope: an image processor that is not implemented, by name.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings, source = read_settings(directory, KNOWN, Settings)
    try:
        background, size, crop = settings.background, settings.resized, settings.cropped
    except ValueError as error:
        raise _unusable(error, source) from None
    pixels = (
        decode(path, background=background, size=size, resample=settings.resample).transpose(2, 0, 1).astype(np.float32)
    )
    if crop:
        pixels = _crop(pixels, *crop)
    settings.scale(pixels)
    return np.ascontiguousarray(pixels[None])


def read_settings(directory: Path, known: Collection[str], kind_of: type[S]) -> tuple[S, Path]:
    """The settings of one of the image processors `known`; transformers 5 may write them into processor_config.json.

    Raises:
        CheckpointError: there are none, or they say nothing that can be done.
        NotImplementedByWeightscope: they are of another image processor, by name.
    """
    for name, part in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = directory / name
        if not path.is_file():
            continue
        found = _object(path)
        if part:
            found = found.get(part)
        if not isinstance(found, dict):
            continue
        kind = str(found.get("image_processor_type") or found.get("feature_extractor_type") or next(iter(known)))
        if kind.removesuffix("Fast").removesuffix("Pil") not in known:
            raise NotImplementedByWeightscope(f"the image processor {kind!r:.80} is not implemented", where=path)
        said = {key: value for key, value in found.items() if value is not None}
        try:
            return msgspec.convert(said, kind_of), path
        except (ValueError, RecursionError) as error:
            raise _unusable(error, path) from None
    raise CheckpointError(
        "preprocessor_config.json is missing; it is needed to prepare an image",
        where=directory,
        hint="fetch it from the model's repository",
        code="config-missing",
    )


def _object(path: Path) -> Any:
    """The JSON of a file of settings; an empty object where it is something else."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SETTINGS + 1)
        if len(raw) > MAX_SETTINGS:
            raise ValueError(f"it is larger than {MAX_SETTINGS:,} bytes")
        data = msgspec.json.decode(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=path, code="config-invalid") from None
    return data if isinstance(data, dict) else {}


def _unusable(error: Exception, source: Path) -> CheckpointError:
    return CheckpointError(f"has settings that cannot be used ({error})", where=source, code="config-invalid")


def decode(
    path: Path,
    *,
    background: tuple[int, ...] | None,
    size: tuple[int, ...] | None,
    fit: dict[str, int] | None = None,
    resample: int,
) -> np.ndarray[Any, Any]:
    """The image, padded and resized, uint8 [height, width, 3]; arguments are those of the child process.

    Raises:
        UsageError: the file cannot be read as an image.
        WeightscopeError: Pillow is not installed.
    """
    import numpy as np

    try:
        there = path.stat().st_size
        if not path.is_file() or there > MAX_IMAGE:
            what = f"it is larger than {MAX_IMAGE:,} bytes" if path.is_file() else "it is not a file"
            raise _unreadable(what, path)
        child = Child("image", "PIL")
    except ImportError:
        raise WeightscopeError("Pillow is not installed", hint="install weightscope-cli[forward]") from None
    except OSError as error:
        raise _unreadable(error.strerror, path) from None
    request = {
        "path": os.path.abspath(path),  # noqa: PTH100 - as the file system spells it
        "most_bytes": MAX_IMAGE,
        "most_pixels": MAX_PIXELS,
        "most_input": MAX_INPUT_PIXELS,
        "background": background,
        "size": size,
        "fit": fit,
        "resample": resample,
    }
    with child:
        child.send(json.dumps(request).encode(), IMAGE_SECONDS)
        try:
            answer = child.receive(SIZE.size + 3 * MAX_INPUT_PIXELS)
        except ChildError as error:
            raise _unreadable(error, path) from None
    width, height = SIZE.unpack(answer[: SIZE.size])
    if SIZE.size + 3 * width * height != len(answer):
        raise _unreadable("Pillow returned a different number of pixels", path)
    return np.frombuffer(answer, np.uint8, offset=SIZE.size).reshape(height, width, 3)


def _unreadable(why: object, path: Path) -> UsageError:
    return UsageError(
        f"cannot be read as an image ({why})", where=path, hint="give a PNG, JPEG, WebP, GIF or BMP of a usual size"
    )


def _crop(pixels: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """The middle [3, height, width], with zeros around what is smaller."""
    import numpy as np

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
