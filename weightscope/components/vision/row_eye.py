"""An eye whose images end in rows: each token has its place in the text, its column, row and image (HunyuanOCR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen
from weightscope.components.vision.grid_eye import GRIDS, GridEye
from weightscope.components.vision.raster import CentredPositions, squares
from weightscope.components.vision.row_bridge import RowBridge
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.roles import Role
from weightscope.storage.base import Sizes

if TYPE_CHECKING:
    import torch


class ClassedPositions(CentredPositions, frozen=True, kw_only=True):
    """The table's first vector is that of a class, which no image has."""

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (self.count + 1, self.width)}

    def table(self, at: At) -> torch.Tensor:
        return super().table(at)[1:]


class RowEye(GridEye, frozen=True, kw_only=True):
    """Patches come row by row. Positions have `axes` of which the last three are column, row and number of the image.

    Beside an image's vectors stand those that end its rows, one before it and one after it.
    """

    processor: ClassVar[str] = "HunYuanVLImageProcessor"

    bridge: RowBridge
    axes: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        super().counts(inputs)
        return tuple(rows * (columns + 1) + 2 for rows, columns in self._shapes(inputs))

    def positions(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """[axes, T].

        Raises:
            NotImplementedByWeightscope: there are too few axes for an image.
        """
        import torch

        if self.axes < 3:
            raise NotImplementedByWeightscope(f"images need positions of 3 axes or more, and there are {self.axes}")
        found = torch.arange(len(tokens)).repeat(self.axes, 1)
        places = (tokens == mark).nonzero()[:, 0].cpu()
        for image, (rows, columns) in enumerate(self._shapes(inputs)):
            count = rows * (columns + 1)
            inside, places = places[1 : 1 + count], places[2 + count :]
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns + 1), indexing="ij")
            found[-3:, inside] = torch.stack((column.flatten(), row.flatten(), torch.full((count,), image)))
        return found

    def see(self, inputs: Inputs, at: At) -> Seen:
        grids = [(int(t), int(h), int(w)) for t, h, w in inputs[GRIDS].tolist()]
        pixels = inputs[PIXELS]
        ordered = pixels[squares(grids, self.tower.merge).to(pixels.device)]
        vectors, _ = self.tower.see(ordered, grids, at.below(self.tower))
        return Seen(self.bridge.of(vectors, self._shapes(inputs), at.below(self.bridge)))

    def _shapes(self, inputs: Inputs) -> list[tuple[int, int]]:
        """Rows and columns of each image's vectors, less those that end rows.

        Raises:
            UsageError: an image has several frames, or less than two rows or columns of patches.
        """
        found = []
        for frames, height, width in inputs[GRIDS].tolist():
            if frames != 1 or min(height, width) < 2:
                raise UsageError(f"{GRIDS} has {[frames, height, width]}: an image is 1 frame of 2 × 2 patches or more")
            found.append((int(height) // self.tower.merge, int(width) // self.tower.merge))
        return found
