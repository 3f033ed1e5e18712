"""An eye that takes an image as tiles, of which squares of patches become vectors (Idefics 3, arXiv 2408.12637)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import ClassVar

from msgspec.structs import replace

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.shuffle import ShuffledBridge
from weightscope.components.vision.tiles import MASK, Tiles, tiles
from weightscope.errors import UsageError

ROWS, COLUMNS = "rows", "cols"


class TileEye(Eye, frozen=True, kw_only=True):
    """Tiles row by row, then the whole image. `rows` and `cols` say how many tiles an image has; 0 is the whole alone.

    All tiles may have another size than the tower's images: positions go by fractions of the sides. The tokens beside
    an image's are `around` it and before each tile, `whole` before the last.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, MASK, ROWS, COLUMNS)
    beside: ClassVar[tuple[str, ...]] = (ROWS, COLUMNS)
    processor: ClassVar[str] = "Idefics3ImageProcessor"
    fence: ClassVar[str] = "<fake_token_around_image>"
    overview: ClassVar[str] = "<global-img>"

    tower: VisionEncoder
    bridge: ShuffledBridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        found = self._tiles(inputs)
        return (self._each(found),) * len(found.pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        found = self._tiles(inputs)
        features = found.features(self.tower, at.below(self.tower))
        rows, columns = found.grid
        return Seen(at.call(replace(self.bridge, each=rows * columns), features))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """As the processor writes it; where nothing tells the rows and columns, each tile is an image."""
        found = self._tiles(inputs)
        each, many = self._each(found), len(found.pixels)
        if ROWS not in inputs or COLUMNS not in inputs:
            return [(each,)] * many
        grids = list(zip(whole_numbers(inputs, ROWS), whole_numbers(inputs, COLUMNS), strict=False))
        if sum(rows * columns + 1 for rows, columns in grids) != many:
            raise UsageError(f"{ROWS} and {COLUMNS} tell another number of tiles than the {many:,} of {PIXELS}")
        return [self._layout(rows, columns, each) for rows, columns in grids]

    def _layout(self, rows: int, columns: int, each: int) -> Layout:
        pieces: list[int | str] = []
        ends = ""
        for row in range(rows):
            for column in range(columns):
                pieces += [f"{ends}{self.fence}<row_{row + 1}_col_{column + 1}>", each]
                ends = ""
            ends = "\n"
        return (*pieces, f"{ends * 2}{self.fence}{self.overview}", each, self.fence)

    def _tiles(self, inputs: Inputs) -> Tiles:
        return tiles(inputs, self.tower.patches, partly=True)

    def _each(self, found: Tiles) -> int:
        """Vectors of a tile."""
        rows, columns = found.grid
        side = isqrt(rows * columns)
        if side * side != rows * columns or side % self.bridge.factor:
            raise UsageError(
                f"{PIXELS} has tiles of {rows:,} × {columns:,} patches, which are not squares of "
                f"{self.bridge.factor} × {self.bridge.factor}"
            )
        return (side // self.bridge.factor) ** 2
