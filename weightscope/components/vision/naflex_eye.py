"""An eye for images of any shape, cut into tiles where they are large (LFM2-VL, arXiv 2511.23404)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.naflex import MASK, SHAPES, NaflexEncoder, Patched
from weightscope.components.vision.shuffle import squares
from weightscope.errors import UsageError

ROWS, COLUMNS = "image_rows", "image_cols"


class NaflexEye(Eye, frozen=True, kw_only=True):
    """Squares of `factor` × `factor` patches through `bridge`.

    `image_rows` and `image_cols` say how many tiles an image has, before the whole of it where there are several.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, MASK, SHAPES, ROWS, COLUMNS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, SHAPES)
    beside: ClassVar[tuple[str, ...]] = (ROWS, COLUMNS)
    processor: ClassVar[str] = "Lfm2VlImageProcessor"

    tower: NaflexEncoder
    bridge: PatchMerger
    factor: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple((rows // self.factor) * (columns // self.factor) for rows, columns in self._patched(inputs).shapes)

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        found = self._patched(inputs)
        features = torch.split(self.tower.features(found, at.below(self.tower)), found.lengths)
        grids = (part.reshape(1, *shape, -1) for part, shape in zip(features, found.shapes, strict=True))
        # The bridge takes patches in the order of the squares, which it puts together itself.
        ordered = torch.cat([squares(grid, self.factor) for grid in grids]).reshape(len(found.patches), -1)
        merged = at.call(self.bridge, ordered)
        at.stage("projector", self.bridge.equation(), merged)
        return Seen(merged)

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """As the processor writes it; where nothing tells the rows and columns, each tile is an image."""
        counts = list(self.counts(inputs))
        if ROWS not in inputs or COLUMNS not in inputs:
            grids = [(1, 1)] * len(counts)
        else:
            grids = list(zip(whole_numbers(inputs, ROWS), whole_numbers(inputs, COLUMNS), strict=False))
        several = sum(rows * columns > 1 for rows, columns in grids)
        overviews = len(counts) - sum(rows * columns for rows, columns in grids)
        if overviews not in (0, several) or min((number for grid in grids for number in grid), default=0) < 1:
            raise UsageError(f"{ROWS} and {COLUMNS} tell another number of tiles than the {len(counts):,} of {PIXELS}")
        left = iter(counts)
        return [_layout(grid, left, whole=bool(overviews)) for grid in grids]

    def _patched(self, inputs: Inputs) -> Patched:
        found = self.tower.patched(inputs)
        for rows, columns in found.shapes:
            if rows % self.factor or columns % self.factor:
                raise UsageError(f"{SHAPES} has {[rows, columns]}: rows and columns are multiples of {self.factor}")
        return found


def _layout(grid: tuple[int, int], counts: Iterable[int], *, whole: bool) -> Layout:
    rows, columns = grid
    left = iter(counts)
    if rows * columns == 1:
        return ("<|image_start|>", next(left), "<|image_end|>")
    pieces: list[int | str] = []
    for row in range(rows):
        for column in range(columns):
            pieces += [f"<|img_row_{row + 1}_col_{column + 1}|>", next(left)]
    pieces += ["<|img_thumbnail|>", next(left)] if whole else []
    return (f"<|image_start|>{pieces[0]}", *pieces[1:], "<|image_end|>")
