"""A table of learned positions by row and column, resized to each image's grid (MoonViT, arXiv 2504.07491)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.components.vision.grids import Grid
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class ResizedPositions(Component, frozen=True, kw_only=True):
    """Bicubic interpolation of the whole table; `parameter` is its own name in its module."""

    parameter: str
    rows: Size
    columns: Size
    width: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.POSITION_EMBEDDING, leaf=self.parameter),)

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (self.rows, self.columns, self.width)}

    def equation(self, x: str = "x") -> str:
        return f"{x} + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        return {Role.POSITION_EMBEDDING: "position_embedding, resized to the image's grid, is added to each patch"}

    def of(self, grids: Sequence[Grid], at: At) -> torch.Tensor:
        """The vectors [N, width] of all patches of these images, row by row."""
        import torch

        table = at.weights(self)[Role.POSITION_EMBEDDING].movedim(-1, 0)[None]
        found = []
        for _, height, width in grids:
            resized = table
            if table.shape[2:] != (height, width):
                resized = torch.nn.functional.interpolate(table, size=(height, width), mode="bicubic")
            found.append(resized[0].flatten(1).T)
        return torch.cat(found)
