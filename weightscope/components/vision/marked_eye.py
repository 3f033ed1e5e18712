"""An eye for images cut into tiles, with texts before and after each (Aya Vision, Command A Vision)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.sense import Layout, whole_numbers
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.shuffle import ShuffledBridge
from weightscope.errors import UsageError

TILES = "num_patches"


class MarkedEye(CropEye, frozen=True, kw_only=True):
    """`num_patches` says how many tiles an image has, the last of them the whole image; without it each tile is one.

    `begin` and `end` stand around an image. Before a tile stands `tile` with its number, before the last `overview`,
    after each `close`.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, TILES)
    beside: ClassVar[tuple[str, ...]] = (TILES,)

    bridge: ShuffledBridge
    begin: str
    end: str
    tile: str = ""
    overview: str = ""
    close: str = ""

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        if not self.bridge.even:
            raise UsageError(
                f"the projector takes squares of {self.bridge.factor} × {self.bridge.factor} patches, "
                f"which do not cover a crop of {self.bridge.each:,}"
            )
        return super().counts(inputs)

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        many = len(self.counts(inputs))
        tiles = whole_numbers(inputs, TILES) if TILES in inputs else [1] * many
        if sum(tiles) != many or min(tiles) < 1:
            raise UsageError(f"{TILES} has {tiles}, and {PIXELS} has {many:,} tiles")
        return [self._layout(count) for count in tiles]

    def _layout(self, tiles: int) -> Layout:
        texts = [self.tile.format(number) for number in range(1, tiles)] + [self.overview]
        pieces: list[int | str] = []
        before = self.begin
        for text in texts:
            pieces += [before + text, self.each] if before + text else [self.each]
            before = self.close
        return (*pieces, before + self.end)


class CommandEye(MarkedEye, frozen=True, kw_only=True):
    """The same with Command A Vision's own processor."""

    processor: ClassVar[str] = "Cohere2VisionImageProcessor"


class AyaEye(MarkedEye, frozen=True, kw_only=True):
    """The same with GOT-OCR 2's processor, as Aya Vision has it."""

    processor: ClassVar[str] = "GotOcr2ImageProcessor"
