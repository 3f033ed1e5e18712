"""Attention of text to images that stand beside it, in layers of their own (Llama 3.2 Vision, Meta 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.attend import fused_attention
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.norms import NO_NORMS, QueryKeyNorms
from weightscope.components.base import Component
from weightscope.components.gated_block import GatedBlock
from weightscope.components.running import At, linear
from weightscope.components.state import PerSource, State
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch


class CrossAttention(Component, frozen=True, kw_only=True):
    """o·softmax(q·kᵀ)·v, with queries from the text and keys and values from the images of the pass (`crossed`)."""

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads
    norms: QueryKeyNorms = NO_NORMS
    word: ClassVar[str] = "cross attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.projections

    def sizes(self) -> Sizes:
        return self.heads.sizes(self.width)

    def children(self) -> Iterable[Component]:
        return tuple(self.norms.parts())

    @property
    def glance(self) -> str:
        return f"{self.heads.words} over images"

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)})·v of the images"

    def terms(self) -> Mapping[Role, str]:
        count, keys, size = int(self.heads.count), int(self.heads.keys), int(self.heads.size)
        query, key = (
            self.norms.words(role, term, "{}")
            for role, term in ((Role.Q_PROJ, "q_proj·x"), (Role.K_PROJ, "k_proj·image"))
        )
        return {
            Role.Q_PROJ: f"q = {query}   in {count} heads of {size}",
            Role.K_PROJ: f"k = {key}   in {keys} heads of {size}",
            Role.V_PROJ: f"v = v_proj·image   in {keys} heads of {size}",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of an image's vector and its share of that."""
        return (Work(each=int(self.heads.count * self.heads.size * 2), of_source=True),)

    def keeps(self) -> tuple[State, ...]:
        """Keys and values of the images' vectors."""
        entry = int(self.heads.keys * self.heads.size * 2)
        return (PerSource(kind="cross_keys_and_values", entry=entry, parts=int(self.heads.keys)),)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Text [T, D] to [T, D]; the pass has the images' vectors [N, D]."""
        crossed = at.run.crossed
        assert crossed is not None
        weights = at.weights(self)
        q = self._heads(linear(x, weights, Role.Q_PROJ), Role.Q_PROJ, at)
        k = self._heads(linear(crossed.vectors, weights, Role.K_PROJ), Role.K_PROJ, at)
        v = self._heads(linear(crossed.vectors, weights, Role.V_PROJ), Role.V_PROJ, at)
        mixed = fused_attention(q, k, v, sees=crossed.sees)
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)

    def _heads(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """[N, heads · size] to [heads, N, size], normed."""
        apart: torch.Tensor = x.unflatten(-1, (-1, int(self.heads.size)))  # type: ignore[no-untyped-call]
        return self.norms.at_heads(apart, role, at).transpose(0, 1)


class CrossBlock(GatedBlock, frozen=True, kw_only=True):
    """A gated block whose attention looks at images; without any it does nothing.

    A token that sees no image looks at all of them, and gets nothing from the feed-forward half.
    """

    @property
    def awaited(self) -> bool:
        """Text alone passes it by."""
        return False

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        return super().forward(x, at) if at.run.crossed else x

    def fed(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """What the feed-forward half adds, before its gate."""
        assert at.run.crossed is not None
        return super().fed(x, at) * at.run.crossed.any[:, None]
