"""Fixed positions: sines and cosines of slower and slower waves (Vaswani et al. 2017, section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch

LONGEST = 10_000.0


class SinusoidTable(Embedding, frozen=True, kw_only=True):
    """A frozen table [rows, width], computed where a file leaves it out: all sines, then all cosines (Marian)."""

    role: Role = Role.POSITION_EMBEDDING

    @property
    def table(self) -> Plain:
        return Plain("", self.role, computed=True)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Rows [T, width] for positions [T]."""
        if at.run.reader.has(self.table.path(at.prefix)):
            return Embedding.forward(self, x, at)
        import torch

        width = int(self.width)
        waves = LONGEST ** (torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
        angles = x[:, None] / waves
        return torch.cat((angles.sin(), angles.cos()[:, : width // 2]), dim=1).to(at.run.dtype)


class Sinusoids(Component, frozen=True, kw_only=True):
    """Sines, then cosines, of any position, counted from `offset`; padding, at -1, has zeros (M2M-100).

    Old files have the first `rows` of them as a buffer.
    """

    name: str
    rows: Size
    width: Size
    offset: int

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Buffer("weights", Role.POSITION_EMBEDDING, (self.rows, self.width)),)

    def equation(self, x: str = "") -> str:
        return f"position_embedding[{x or 'position'} + {self.offset}]"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T] to [T, width]."""
        import torch

        half = int(self.width) // 2
        waves = torch.exp(torch.arange(half, device=x.device).float() * (-math.log(LONGEST) / (half - 1)))
        angles = (x + self.offset).float()[:, None] * waves
        made = torch.cat((angles.sin(), angles.cos()), dim=1)
        made = torch.nn.functional.pad(made, (0, int(self.width) % 2))
        return made.masked_fill((x < 0)[:, None], 0.0).to(at.run.dtype)


def plane_waves(rows: int, columns: int, width: int) -> torch.Tensor:
    """Of each place, row by row, [rows · columns, width]: sines and cosines of its column, then of its row."""
    import torch

    quarter = width // 4
    waves = LONGEST ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    of_column, of_row = (torch.arange(count)[:, None] / waves for count in (columns, rows))
    across = torch.cat((of_column.sin(), of_column.cos()), dim=1).repeat(rows, 1)
    down = torch.cat((of_row.sin(), of_row.cos()), dim=1).repeat_interleave(columns, dim=0)
    return torch.cat((across, down), dim=1)
