"""Learned positions of tiles by the arrangement that an image is cut into (Llama 3.2 Vision, Meta 2024).

Shapes: M images of t tiles with P vectors each, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

GATE = Plain("gate", Role.POSITION_GATE, leaf="", number=True)


class TilePositions(Component, frozen=True, kw_only=True):
    """x + tanh(gate)·a vector for each tile, of those that the arrangement's row holds."""

    name: str
    arrangements: Size
    tiles: Size
    width: Size

    @property
    def table(self) -> Embedding:
        """A row for each arrangement, the first for none."""
        width = self.tiles * self.width
        return Embedding(name="embedding", role=Role.TILE_EMBEDDING, rows=self.arrangements, width=width)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (GATE,)

    def sizes(self) -> Sizes:
        return {Role.POSITION_GATE: (Size(1),)}

    def children(self) -> Iterable[Component]:
        return (self.table,)

    def equation(self, x: str = "x") -> str:
        return f"{x} + tanh(position_gate)·tile_embedding[arrangement]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.POSITION_GATE: self.equation()}

    def placed(self, x: torch.Tensor, arrangements: torch.Tensor, at: At) -> torch.Tensor:
        """[M, t, P, D] with what the arrangements [M] add to each tile."""
        gate = at.weights(self)[Role.POSITION_GATE].tanh()
        return x + gate * at.call(self.table, arrangements).view(len(x), x.shape[1], 1, x.shape[3])


class GatedPositions(Component, frozen=True, kw_only=True):
    """x + (1 − tanh(gate))·a vector for each patch + tanh(gate)·one for each patch of each tile."""

    name: str
    arrangements: Size
    tiles: Size
    positions: Size
    width: Size

    @property
    def table(self) -> Embedding:
        """A row for each arrangement, the first for none."""
        width = self.tiles * self.positions * self.width
        return Embedding(name="tile_embedding", role=Role.TILE_EMBEDDING, rows=self.arrangements, width=width)

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Plain("embedding", Role.POSITION_EMBEDDING, leaf=""), GATE

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (self.positions, self.width), Role.POSITION_GATE: (Size(1),)}

    def children(self) -> Iterable[Component]:
        return (self.table,)

    def equation(self, x: str = "x") -> str:
        own = "(1 − tanh(position_gate))·position_embedding"
        return f"{x} + {own} + tanh(position_gate)·tile_embedding[arrangement]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.POSITION_EMBEDDING: self.equation(), Role.POSITION_GATE: self.equation()}

    def placed(self, x: torch.Tensor, arrangements: torch.Tensor, at: At) -> torch.Tensor:
        """[M, t, P, D] with the positions of each patch."""
        weights = at.weights(self)
        gate = weights[Role.POSITION_GATE].tanh()
        x = x + (1 - gate) * weights[Role.POSITION_EMBEDDING]
        return x + gate * at.call(self.table, arrangements).view(x.shape)
