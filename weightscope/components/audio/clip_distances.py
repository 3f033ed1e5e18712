"""A learned number for each distance of two frames and each head, in one table of all layers (Phi-4-multimodal)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from weightscope.components.attention.relative import LearnedBias
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At
    from weightscope.storage.base import StorageItem


class ClipDistances(LearnedBias, frozen=True, kw_only=True):
    """Distances from -`farthest` to `farthest` - 1; farther ones count as those. Symmetric ones have no sign."""

    rows: Size
    farthest: int
    symmetric: bool
    term: ClassVar[str] = "relative_position[distance, head] is added to each score"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain(self.table, Role.RELATIVE_POSITION),) if self.table else ()

    def sizes(self, heads: Size) -> Mapping[Role, tuple[Size, Size]]:
        """(distances, heads)."""
        return {Role.RELATIVE_POSITION: (self.rows, heads)}

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> DistanceBias:
        """The biases by the table of all layers."""
        del weights
        return DistanceBias(self, at.run.shared[self.key])

    def row(self, distance: torch.Tensor) -> torch.Tensor:
        """Of distances (key - query) the row of the table."""
        bounded = distance.clamp(-self.farthest, self.farthest - 1)
        return bounded.abs() if self.symmetric else bounded + int(self.rows) // 2

    @property
    def words(self) -> str:
        """What it is, a sentence for people."""
        return f"Each score gets a learned number for its head and the distance, up to {self.farthest:,} frames."


class DistanceBias(NamedTuple):
    """The biases by one table [distances, heads]."""

    distances: ClipDistances
    table: torch.Tensor

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        return self.table[self.distances.row(keys - queries)].permute(2, 0, 1)
