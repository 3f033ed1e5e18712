"""An eye for pictures cut into tiles, each written as many image tokens between two others (InternVL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.sense import Layout
from weightscope.components.vision.crops import CropEye
from weightscope.errors import UsageError

TILES = "num_patches"


class TiledEye(CropEye, frozen=True, kw_only=True):
    """`num_patches` says how many tiles each picture has; without it each tile is a picture."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, TILES)
    processor: ClassVar[str] = "InternVLImageProcessor"

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        crops, tiles = len(self.crops(inputs)), inputs.get(TILES)
        if tiles is None:
            return (self.each,) * crops
        if tiles.ndim != 1 or not len(tiles):
            raise UsageError(f"{TILES} has shape {list(tiles.shape)}, not [images]")
        counts: list[int] = tiles.tolist()
        if min(counts) < 1 or sum(counts) != crops:
            raise UsageError(f"{TILES} has {counts}, and {PIXELS} has {crops:,} tiles")
        return tuple(int(count) * self.each for count in counts)

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """<img>, the image tokens of all tiles, </img>."""
        return [("<img>", count, "</img>") for count in self.counts(inputs)]


class ChatEye(TiledEye, frozen=True, kw_only=True):
    """The same as OpenGVLab publishes it: its own code prepares the pictures, by the model's config."""

    processor: ClassVar[str] = "InternVLChat"
