"""A learned number for each distance in rows and columns and each head, added to scores (BEiT, Swin).

Sources: `BeitRelativePositionBias` and `SwinRelativePositionBias` of transformers; arXiv 2106.08254, 2103.14030.
Legend: h rows, w columns, N = h · w places, one more with a class vector; H heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from weightscope.components.attention.relative import LearnedBias
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At
    from weightscope.storage.base import StorageItem

ONE, TWO = Size(1), Size(2)


class RelativeGrid(LearnedBias, frozen=True, kw_only=True):
    """Distances within a grid of `rows` × `columns`, and where it is `marked` three more of a class vector before it.

    The table is [distances, heads]; `index` is the name of a buffer which old files hold beside it. Where there is a
    group, the table that all its layers share is added (BEiT).
    """

    rows: Size
    columns: Size
    marked: bool = False
    index: str = ""
    term: ClassVar[str] = "relative_position[rows and columns between, head] is added to each score"

    @property
    def count(self) -> Size:
        """Rows of the table."""
        plane = (self.rows * TWO - ONE) * (self.columns * TWO - ONE)
        return plane + Size(3) if self.marked else plane

    @property
    def stored(self) -> Iterable[StorageItem]:
        if self.table:
            yield Plain(self.table, Role.RELATIVE_POSITION, leaf="")
        if self.index:
            places = self.rows * self.columns + ONE if self.marked else self.rows * self.columns
            yield Buffer(self.index, Role.POSITION_IDS, (places, places))

    def sizes(self, heads: Size) -> Mapping[Role, tuple[Size, Size]]:
        """(distances, heads)."""
        return {Role.RELATIVE_POSITION: (self.count, heads)}

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> GridBias:
        """The biases [H, N, N] of this layer, by its own table and the group's."""
        tables = [weights[Role.RELATIVE_POSITION]] if self.table else []
        if self.group:
            tables.append(at.run.shared[self.key])
        index = self.distances().to(tables[0].device)
        return GridBias(sum(table[index] for table in tables).permute(2, 0, 1))  # type: ignore[union-attr]

    def distances(self) -> torch.Tensor:
        """The row of the table for each query and key, [N, N]; the last three are of the class vector."""
        import torch

        rows, columns = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        row, column = rows.flatten(), columns.flatten()
        down = row[:, None] - row + self.rows - 1
        right = column[:, None] - column + self.columns - 1
        index = down * (2 * self.columns - 1) + right
        if not self.marked:
            return index
        index = torch.nn.functional.pad(index, (1, 0, 1, 0))
        last = int(self.count)
        index[0, :], index[:, 0], index[0, 0] = last - 3, last - 2, last - 1
        return index

    @property
    def words(self) -> str:
        """What it is, a sentence for people."""
        return (
            "Each score gets a learned number for its head and for how many rows and columns lie between, "
            f"in {self.rows:,} × {self.columns:,} places."
        )


class GridBias(NamedTuple):
    """Biases [H, N, N] of all places."""

    whole: torch.Tensor

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        return self.whole[:, queries, keys]
