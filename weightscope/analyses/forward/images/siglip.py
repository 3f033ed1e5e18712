"""An image resized to a square whatever its shape, as SigLIP, Gemma 3, ViT, BEiT and DeiT take it.

Sources: `SiglipImageProcessor`, `Gemma3ImageProcessor`, `ViTImageProcessor`, `BeitImageProcessor` and
`DeiTImageProcessor` of transformers, in their Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import clip
from weightscope.analyses.forward.images.settings import Deviation, Level, Resample, Said, Side, Sides
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import numpy as np

SQUARE = Sides(height=224, width=224)


class Settings(clip.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what SigLIP's class takes."""

    size: Side | Sides = SQUARE
    do_center_crop: bool = False
    image_mean: tuple[Level, Level, Level] = (0.5, 0.5, 0.5)
    image_std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)
    do_pan_and_scan: bool = False


class SquareSettings(Settings, frozen=True, kw_only=True):
    """The same of classes for which one number is both sides (BEiT)."""

    @property
    def resized(self) -> tuple[int, ...] | None:
        """Width and height to resize to."""
        if self.do_resize and isinstance(self.size, int):
            return self.size, self.size
        return super().resized


class Gemma3Settings(SquareSettings, frozen=True, kw_only=True):
    """The same of Gemma 3's class and of ViT's."""

    resample: Resample = 2


class DeiTSettings(SquareSettings, frozen=True, kw_only=True):
    """The same of DeiT's class, which crops the middle."""

    size: Side | Sides = Sides(height=256, width=256)
    do_center_crop: bool = True


KINDS: dict[str, type[Settings]] = {
    "BeitFeatureExtractor": SquareSettings,
    "BeitImageProcessor": SquareSettings,
    "DeiTFeatureExtractor": DeiTSettings,
    "DeiTImageProcessor": DeiTSettings,
    "Gemma3ImageProcessor": Gemma3Settings,
    "ViTFeatureExtractor": Gemma3Settings,
    "ViTImageProcessor": Gemma3Settings,
}


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values`, float32 [images, 3, height, width].

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        NotImplementedByWeightscope: images are to be cut into crops (pan and scan), or padded.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(KINDS.get(said.processor, Settings))
    for key in ("do_pan_and_scan", "do_pad"):
        if getattr(settings, key):
            raise NotImplementedByWeightscope(f"{key} of {said.processor} is not implemented", where=said.source)
    return {"pixel_values": np.stack([clip.prepared(path, settings) for path in paths])}
