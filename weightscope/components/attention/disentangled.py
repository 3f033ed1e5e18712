"""DeBERTa's disentangled attention (arXiv 2006.03654): content and relative position score each other.

Shapes: H heads, T tokens, d elements of a head, S the span of distances.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.attention.heads import Heads
from weightscope.components.base import Component, Conflict
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

KEY = "relative positions"
# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24


class Distances(msgspec.Struct, frozen=True, kw_only=True):
    """Which row of a table of 2·`span` rows stands for a distance; farther ones share the outermost rows.

    With `buckets`, those farther than a quarter of them fall into ranges that grow up to `farthest`.
    """

    span: Size
    buckets: bool = False
    farthest: int = 0

    def row(self, distance: torch.Tensor) -> torch.Tensor:
        """Of distances (query - key)."""
        import torch

        if self.buckets:
            half = int(self.span) // 2
            far = torch.where(distance.abs() < half, torch.full_like(distance, half - 1), distance.abs())
            spread = torch.log(far / half) / torch.log(torch.tensor((self.farthest - 1) / half)) * (half - 1)
            grown = ((torch.ceil(spread) + half) * distance.sign()).long()
            distance = torch.where(far <= half, distance, grown)
        return (distance + int(self.span)).clamp(0, 2 * int(self.span) - 1)


class RelativeTable(Component, frozen=True, kw_only=True):
    """Vectors of distances, the same for all layers, which find them under `KEY`."""

    rows: Size
    width: Size
    norm: Norm | None = None

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("rel_embeddings", Role.RELATIVE_POSITION),)

    def sizes(self) -> Sizes:
        return {Role.RELATIVE_POSITION: (self.rows, self.width)}

    def equation(self, x: str = "") -> str:
        return f"{self.norm.word}(relative_position)" if self.norm else "relative_position"

    def terms(self) -> Mapping[Role, str]:
        return {Role.RELATIVE_POSITION: f"{self.equation()} makes keys and queries of distances in each layer"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """X as it is; the table is left for the layers."""
        table = at.weights(self)[Role.RELATIVE_POSITION]
        at.run.shared[KEY] = at.call(self.norm, table) if self.norm else table
        return x


class Disentangled(Component, frozen=True, kw_only=True):
    """o·softmax((q·kᵀ + q·kᵣᵀ + k·qᵣᵀ) / √(d·terms))·v, where kᵣ and qᵣ are made of the vector of the distance.

    `distances` are None without relative positions. `to_position` has the second term, `from_position` the third;
    `terms` counts them, used or not. With `shared` kᵣ and qᵣ are made as keys and queries are.
    """

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads
    distances: Distances | None
    to_position: bool
    from_position: bool
    terms_counted: int
    shared: bool = False
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.projections

    def sizes(self) -> Sizes:
        inner = self.heads.count * self.heads.size
        roles = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.POSITION_K_PROJ, Role.POSITION_Q_PROJ)
        return dict.fromkeys(roles, (inner, self.width)) | {Role.O_PROJ: (self.width, inner)}

    @property
    def glance(self) -> str:
        return f"{self.heads.words}, bidirectional"

    def conflicts(self) -> Iterable[Conflict]:
        """A width that the heads do not share evenly."""
        heads = self.heads.count
        if self.width % heads:
            yield Conflict(
                f"{self.width.text} {self.width:,} is not a multiple of {heads:,} {heads.text}",
                (*self.width.keys, *heads.keys),
            )

    def equation(self, x: str = "x") -> str:
        terms = ["q·kᵀ"]
        if self.distances:
            terms += ["q·k_positionᵀ"] * self.to_position + ["k·q_positionᵀ"] * self.from_position
        return f"o_proj·softmax(({' + '.join(terms)})/√({int(self.heads.size)}·{self.terms_counted}))·v"

    def terms(self) -> Mapping[Role, str]:
        of = f"in {int(self.heads.count)} heads of {int(self.heads.size)}"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {of}",
            Role.K_PROJ: f"k = k_proj·x   {of}",
            Role.V_PROJ: f"v = v_proj·x   {of}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.POSITION_K_PROJ: f"k_position = position_k_proj·relative_position   {of}; queries score it",
            Role.POSITION_Q_PROJ: f"q_position = position_q_proj·relative_position   {of}; it scores keys",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        weights = at.weights(self)
        q, k, v = (self.heads.split(linear(x, weights, role)) for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ))
        scale = math.sqrt(int(self.heads.size) * self.terms_counted)
        table = at.run.shared[KEY] if self.distances else None
        length = len(x)
        places = torch.arange(length, device=x.device)
        step = max(1, SCORES // max(len(q) * length, 1))
        mixed = []
        for start in range(0, length, step):
            some = q[:, start : start + step]
            scores = some @ k.transpose(1, 2)
            if self.distances is not None and table is not None:
                rows = self.distances.row(places[start : start + step, None] - places)
                scores = scores + self._of_positions(some, k, rows, table, weights)
            mixed.append(torch.softmax(scores / scale, dim=-1) @ v)
        return linear(torch.cat(mixed, dim=1).transpose(0, 1).flatten(1), weights, Role.O_PROJ)

    def _of_positions(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        rows: torch.Tensor,
        table: torch.Tensor,
        weights: Mapping[str, torch.Tensor],
    ) -> torch.Tensor | int:
        """What distances add to the scores [H, queries, T] before they are divided."""
        added: torch.Tensor | int = 0
        index = rows.expand(len(q), -1, -1)
        if self.to_position:
            keys = self.heads.split(linear(table, weights, Role.K_PROJ if self.shared else Role.POSITION_K_PROJ))
            added = added + (q @ keys.transpose(1, 2)).gather(2, index)
        if self.from_position:
            queries = self.heads.split(linear(table, weights, Role.Q_PROJ if self.shared else Role.POSITION_Q_PROJ))
            added = added + (k @ queries.transpose(1, 2)).gather(2, index.transpose(1, 2)).transpose(1, 2)
        return added
