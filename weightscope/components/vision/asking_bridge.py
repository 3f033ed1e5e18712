"""Learned queries that attend to the features of a crop, then an MLP (Aria, arXiv 2410.05993).

Source: `AriaProjector` of transformers. Legend: n crops, P patches of each, Q queries, D the tower's width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.components.vision.projector import Projector
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import InProjection, Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class AskingAttention(Component, frozen=True, kw_only=True):
    """Queries, keys and values go through two matrices each: first `before`, then torch's own attention's."""

    name: str
    heads: Heads
    width: Size
    query_norm: Norm
    feature_norm: Norm
    before: tuple[Projection, Projection, Projection]
    after: Projection

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            InProjection("multihead_attn.in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
            Linear("multihead_attn.out_proj", Role.O_PROJ, bias=True),
        )

    def sizes(self) -> Sizes:
        return dict.fromkeys((Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ), (self.width, self.width))

    def equation(self, x: str = "x") -> str:
        mixed = self.after.equation("(o_proj·softmax(q·kᵀ/√d)·v)")
        return f"{mixed},  q of layer_norm(queries), k and v of layer_norm({x})"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.Q_PROJ: f"q = q_proj·(first q_proj)·layer_norm(queries)   in {self.heads.words}",
            Role.K_PROJ: "k = k_proj·(first k_proj)·layer_norm(x)",
            Role.V_PROJ: "v = v_proj·(first v_proj)·layer_norm(x)",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def ask(self, queries: torch.Tensor, features: torch.Tensor, hidden: torch.Tensor | None, at: At) -> torch.Tensor:
        """Queries [Q, D] of features [n, P, D], less what is `hidden` [n, P], to [n · Q, D]."""
        import torch

        weights, (of_query, of_key, of_value) = at.weights(self), self.before
        normed = at.call(self.feature_norm, features)
        q = linear(at.call(of_query, at.call(self.query_norm, queries)), weights, Role.Q_PROJ)
        k = linear(at.call(of_key, normed), weights, Role.K_PROJ)
        v = linear(at.call(of_value, normed), weights, Role.V_PROJ)
        asking, mixed = self.heads.split(q), []
        for number in range(len(features)):
            seen = slice(None) if hidden is None else ~hidden[number]
            keys, values = (self.heads.split(part[number][seen]) for part in (k, v))
            found = attend(asking, keys, values, scale=self.heads.size**-0.5, sees=EVERYTHING)
            mixed.append(found.transpose(0, 1).flatten(1))
        return at.call(self.after, linear(torch.cat(mixed), weights, Role.O_PROJ))


class AskingBridge(Component, frozen=True, kw_only=True):
    """mlp(norm(attention)) of the first queries; `counts` says how many for a crop of so many patches."""

    name: str
    queries: Size
    counts: tuple[tuple[int, int], ...]
    attention: AskingAttention
    norm: Norm
    mlp: Projector
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("query", Role.PROBE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.PROBE: (self.queries, self.attention.width)}

    def equation(self, x: str = "x") -> str:
        return self.mlp.equation(f"{self.norm.word}({self.attention.word}(queries, {x}))")

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROBE: "the queries: what each vector of a crop looks for"}

    def ask(self, features: torch.Tensor, hidden: torch.Tensor | None, at: At) -> torch.Tensor:
        """Features [n, P, D], less what is `hidden` [n, P], to [n · Q, width of the language model]."""
        queries = at.weights(self)[Role.PROBE][: dict(self.counts)[features.shape[1]]]
        asked = self.attention.ask(queries, features, hidden, at.below(self.attention))
        at.stage("queries", self.attention.equation(), asked)
        return at.call(self.mlp, at.call(self.norm, asked))
