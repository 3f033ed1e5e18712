"""An eye for pictures cut into tiles of one size, with the whole picture as one more (Llama 4, Meta 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.sense import Layout
from weightscope.components.vision.crops import CropEye
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

RATIOS = "aspect_ratios"
MOST_TILES = 1 << 16


class CanvasEye(CropEye, frozen=True, kw_only=True):
    """`aspect_ratios` say how many rows and columns of tiles each picture has; the model itself does without them."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, RATIOS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS,)
    processor: ClassVar[str] = "Llama4ImageProcessor"

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        crops = len(self.crops(inputs))
        tiles = [rows * columns + (rows * columns > 1) for rows, columns in self._grids(inputs, crops)]
        if sum(tiles) != crops:
            raise UsageError(f"{PIXELS} has {crops:,} tiles, and {RATIOS} tells {sum(tiles):,}")
        return tuple(count * self.each for count in tiles)

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """Tiles row by row, then the whole picture, as `Llama4Processor` writes them."""
        return [
            ("<|image_start|>", *self._tiled(rows, columns), "<|image|>", self.each, "<|image_end|>")
            for rows, columns in self._grids(inputs, len(self.crops(inputs)))
        ]

    def _tiled(self, rows: int, columns: int) -> Layout:
        if rows * columns == 1:
            return ()
        row: list[int | str] = [self.each]
        for _ in range(columns - 1):
            row += ["<|tile_x_separator|>", self.each]
        return (*row, "<|tile_y_separator|>") * rows

    @staticmethod
    def _grids(inputs: Inputs, crops: int) -> list[tuple[int, int]]:
        """Rows and columns of tiles of each picture; where nothing says them, each crop is a picture."""
        if RATIOS not in inputs:
            return [(1, 1)] * crops
        ratios: torch.Tensor = inputs[RATIOS]
        if ratios.ndim != 2 or ratios.shape[1] != 2 or not len(ratios):
            raise UsageError(f"{RATIOS} has shape {list(ratios.shape)}, not [images, 2]")
        found = [(int(rows), int(columns)) for rows, columns in ratios.tolist()]
        for rows, columns in found:
            if min(rows, columns) < 1 or rows * columns > MOST_TILES:
                raise UsageError(f"{RATIOS} has [{rows}, {columns}]: rows and columns of tiles are at least 1")
        return found
