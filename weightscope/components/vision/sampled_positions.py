"""A square table of learned positions, sampled at the middle of each patch of an image (GLM-4.1V, arXiv 2507.01006)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import TYPE_CHECKING

from weightscope.components.running import At
from weightscope.components.vision.grids import Grid, places
from weightscope.components.vision.patches import StretchedPositions
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch


class SampledPositions(StretchedPositions, frozen=True, kw_only=True):
    """The table as an image over which the patches lie: bicubic, and beyond its edges as at them."""

    def of(self, grids: Sequence[Grid], merge: int, at: At) -> torch.Tensor:
        """The vectors [N, width] of all patches of these images."""
        import torch

        table, side = at.weights(self)[Role.POSITION_EMBEDDING], isqrt(int(self.count))
        picture = table.float().view(side, side, -1).permute(2, 0, 1)[None]
        rows, columns = (axis.to(table.device) for axis in places(grids, merge))
        sizes = torch.tensor([grid[1:] for grid in grids for _ in range(grid[0] * grid[1] * grid[2])])
        tall, wide = sizes.T.to(table.device)
        spots = torch.stack([(place + 0.5) / size * 2 - 1 for place, size in ((columns, wide), (rows, tall))], dim=-1)
        found = torch.nn.functional.grid_sample(
            picture, spots[None, :, None], mode="bicubic", align_corners=False, padding_mode="border"
        )
        return found[0, :, :, 0].T.to(table.dtype)
