"""A learned number for each bucket of distances and each head, added to scores (T5, arXiv 1910.10683)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.attention.positions import Positions
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.attention.attend import Bias
    from weightscope.components.running import At
    from weightscope.storage.base import StorageItem


class LearnedBias(Positions, frozen=True, kw_only=True):
    """Numbers that are learned for distances and added to scores.

    `table` is the name of the table in what stores it. The layers of a `group` share one. `term` is what it is in the
    scores.
    """

    table: str = ""
    group: str = ""
    term: ClassVar[str]
    added: ClassVar[str] = " + relative_position"

    @property
    def key(self) -> str:
        """Under which name the pass has the table of the group."""
        return f"relative positions of {self.group}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.RELATIVE_POSITION: self.term}

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> Bias:
        """The biases of this layer."""
        raise NotImplementedError


class Relative(LearnedBias, frozen=True, kw_only=True):
    """Half of the buckets are single distances, the other half grow up to `farthest`, beyond which all are one.

    Where `both` ways count, half of all are for tokens after. The table is [buckets, heads]; layers that store none use
    that of their group.
    """

    buckets: Size
    farthest: int
    both: bool
    term: ClassVar[str] = "relative_position[bucket of the distance, head] is added to each score"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain(self.table, Role.RELATIVE_POSITION),) if self.table else ()

    def sizes(self, heads: Size) -> Mapping[Role, tuple[Size, Size]]:
        """(buckets, heads)."""
        return {Role.RELATIVE_POSITION: (self.buckets, heads)}

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> RelativeBias:
        """The biases of this layer, by its own table or the group's."""
        if self.table:
            at.run.shared[self.key] = weights[Role.RELATIVE_POSITION]
        return RelativeBias(self, at.run.shared[self.key])

    def bucket(self, distance: torch.Tensor) -> torch.Tensor:
        """Of distances (key - query) the number of the bucket."""
        import torch

        count = int(self.buckets)
        if self.both:
            count //= 2
            after = (distance > 0).long() * count
            far = distance.abs()
        else:
            after = torch.zeros_like(distance)
            far = (-distance).clamp_min(0)
        single = count // 2
        spread = torch.log(far.float() / single) / math.log(self.farthest / single) * (count - single)
        # log(0) is not used: those distances have buckets of their own.
        grown = (single + spread.clamp(-1e6, 1e6).long()).clamp(max=count - 1)
        return after + torch.where(far < single, far, grown)

    @property
    def words(self) -> str:
        """What it is, a sentence for people."""
        return (
            f"Each score gets a learned number for its head and the distance, in {self.buckets:,} buckets "
            f"up to {self.farthest:,}."
        )


class RelativeBias(msgspec.Struct, frozen=True):
    """The biases by one table [buckets, heads]."""

    relative: Relative
    table: torch.Tensor

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        return self.table[self.relative.bucket(keys - queries)].permute(2, 0, 1)
