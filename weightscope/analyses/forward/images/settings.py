"""The settings of an image processor: which one it is, what its file says, and what all of them share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from weightscope.analyses.forward.settings_file import read_object
from weightscope.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np

MAX_SIDE = 16_384

# Processors that read the model's config.json and no settings of their own.
BY_CONFIG = {"InternVLChat"}

S = TypeVar("S", bound=msgspec.Struct)
Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]
# The number that Pillow has for a filter.
Resample = Annotated[int, msgspec.Meta(ge=0, le=5)]
Level = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Deviation = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]


class Sides(msgspec.Struct, frozen=True):
    """A size in pixels: both sides, or the shorter edge."""

    height: Side | None = None
    width: Side | None = None
    shortest_edge: Side | None = None
    longest_edge: Side | None = None

    def square(self) -> int:
        """The side of a square.

        Raises:
            ValueError: the sides are none of a square.
        """
        if self.height is None or self.height != self.width:
            raise ValueError("a size that is no square")
        return self.height


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of colours; where nothing is said, means and deviations are CLIP's (arXiv 2103.00020)."""

    do_rescale: bool = True
    rescale_factor: Level = 1 / 255
    do_normalize: bool = True
    image_mean: tuple[Level, Level, Level] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.26862954, 0.26130258, 0.27577711)

    def normalized(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """An image, uint8 [height, width, 3], as float32 [3, height, width], rescaled and normalized."""
        import numpy as np

        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)
        self.scale(pixels)
        return pixels

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


class EvenScaling(Scaling, frozen=True, kw_only=True):
    """The same where nothing said means that colours become numbers from -1 to 1."""

    image_mean: tuple[Level, Level, Level] = (0.5, 0.5, 0.5)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)


class Said(msgspec.Struct, frozen=True):
    """What a file says of an image processor: its class by transformers' name, its settings, the file.

    `usual` is the class that the model itself asks for.
    """

    processor: str
    settings: dict[str, Any]
    source: Path
    usual: str = ""

    def beside(self, name: str, kind: type[S]) -> S:
        """What another file in the same folder says; nothing where there is none.

        Raises:
            CheckpointError: it cannot be read, or says something that cannot be used.
        """
        path = self.source.parent / name
        if not path.is_file():
            return kind()
        return Said(self.processor, read_object(path), path).as_kind(kind)

    def as_kind(self, kind: type[S]) -> S:
        """The settings as those of one processor.

        Raises:
            CheckpointError: they are none that can be used.
        """
        said = {key: value for key, value in self.settings.items() if value is not None}
        try:
            return msgspec.convert(said, kind)
        except (ValueError, RecursionError) as error:
            raise self.unusable(error) from None

    def unusable(self, error: Exception) -> CheckpointError:
        """The error of settings with which nothing can be done."""
        return CheckpointError(f"has settings that cannot be used ({error})", where=self.source, code="config-invalid")


def find_settings(directory: Path, usual: str) -> Said:
    """The settings beside a model; transformers 5 may write them into processor_config.json.

    `usual` is the processor where the settings do not name theirs.

    Raises:
        CheckpointError: there are none, or they cannot be read.
    """
    if usual in BY_CONFIG:
        return Said(usual, read_object(directory / "config.json"), directory / "config.json", usual)
    for name, part in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = directory / name
        if not path.is_file():
            continue
        found = read_object(path)
        if part:
            found = found.get(part)
        if not isinstance(found, dict):
            continue
        kind = str(found.get("image_processor_type") or found.get("feature_extractor_type") or usual)
        return Said(kind.removesuffix("Fast").removesuffix("Pil"), found, path, usual)
    raise CheckpointError(
        "preprocessor_config.json is missing; it is needed to prepare an image",
        where=directory,
        hint="fetch it from the model's repository",
        code="config-missing",
    )
