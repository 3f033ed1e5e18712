"""Softmax attention with any grouping of heads (Vaswani et al. 2017; grouped queries: Ainslie et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.rope import Rope
from weightscope.components.running import At, attend, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch


class Attention(Component, frozen=True, kw_only=True):
    """softmax(q·kᵀ · scale)·v over `heads` query heads that share `kv_heads` key and value heads.

    `window` is how many positions a token sees, itself included; `softcap` bounds the scores (Gemma 2). `norms` act
    on each head's queries and keys (Qwen 3). `scale` is 1/sqrt(head_dim) where the family says nothing else.
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    rope: Rope | None = None
    norms: tuple[Norm, ...] = ()
    causal: bool = True
    window: int | None = None
    softcap: float | None = None
    scale: float | None = None

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The four projections, fused or not, and what buffers old checkpoints hold."""
        return self.items

    def sizes(self) -> Sizes:
        """q, k and v project from the model's width, o back to it."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            Role.Q_PROJ: (queries, self.width),
            Role.K_PROJ: (keys, self.width),
            Role.V_PROJ: (keys, self.width),
            Role.O_PROJ: (self.width, queries),
        }

    def children(self) -> Iterable[Component]:
        """The query and key norms, where there are any."""
        return self.norms

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        weights = at.weights(self)
        q, k, v = (
            linear(x, weights, role).unflatten(-1, (-1, int(self.head_dim)))  # type: ignore[no-untyped-call]
            for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        )
        for norm in self.norms:
            if norm.role is Role.Q_NORM:
                q = at.run(norm, q)
            else:
                k = at.run(norm, k)
        q, k, v = (part.transpose(0, 1) for part in (q, k, v))
        if self.rope:
            q, k = self.rope.rotate(q), self.rope.rotate(k)
        mixed = attend(
            q,
            k,
            v,
            scale=self.scale or self.head_dim**-0.5,
            causal=self.causal,
            window=self.window,
            softcap=self.softcap,
        )
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)
