"""An eye whose bridge has vectors for the marks around tiles, too (Ovis 2, arXiv 2405.20797)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.words import VisualWords
from weightscope.errors import UsageError

GRIDS = "grids"


class WordsEye(CropEye, frozen=True, kw_only=True):
    """`grids` [images, 2] say how many rows and columns of tiles come after the whole image, where more than one.

    `marks` are the tokens that have vectors of their own beside an image.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, GRIDS)
    beside: ClassVar[tuple[str, ...]] = (GRIDS,)
    processor: ClassVar[str] = "Ovis2ImageProcessor"

    bridge: VisualWords
    marks: tuple[int, ...]

    def see(self, inputs: Inputs, at: At) -> Seen:
        seen = super().see(inputs, at)
        vectors = self.bridge.of_marks(len(self.marks), at.below(self.bridge))
        return replace(seen, beside=dict(zip(self.marks, vectors, strict=False)))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        many = len(self.crops(inputs))
        grids = [(1, 1)] * many
        if GRIDS in inputs:
            flat = whole_numbers(inputs, GRIDS)
            grids = list(zip(flat[::2], flat[1::2], strict=False))
        tiles = [rows * columns + (rows * columns > 1) for rows, columns in grids]
        if sum(tiles) != many or min(tiles) < 1:
            raise UsageError(f"{GRIDS} has {[list(grid) for grid in grids]}, and {PIXELS} has {many:,} tiles")
        return [self._layout(rows, columns) for rows, columns in grids]

    def _layout(self, rows: int, columns: int) -> Layout:
        pieces: list[int | str] = ["<IMG_START>", self.each, "<IMG_GRID>"]
        for row in range(rows if rows * columns > 1 else 0):
            for column in range(columns):
                pieces += [self.each] if column == columns - 1 else [self.each, "<IMG_COL>"]
            pieces += ["<IMG_ROW>"] if row < rows - 1 else []
        last = pieces[-1]
        return (*pieces[:-1], last + "<IMG_END>") if isinstance(last, str) else (*pieces, "<IMG_END>")
