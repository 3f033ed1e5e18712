"""Windows of patches: their mean asks them, and what it gathers becomes one vector each (Molmo, arXiv 2409.17146).

Legend: M windows, W patches of one, some of which may be missing, H heads, d head_dim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Conflict
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class WindowPooling(Attention, frozen=True, kw_only=True):
    """The mean of each window asks its patches."""

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)})·v,  q of the mean of {x}, k and v of {x}"

    def terms(self) -> Mapping[Role, str]:
        return {
            **super().terms(),
            Role.Q_PROJ: f"q = q_proj·mean   in {self.heads.words}",
            Role.K_PROJ: "k = k_proj·patches",
            Role.V_PROJ: "v = v_proj·patches",
        }

    def gather(self, patches: torch.Tensor, there: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [M, W, width], of which those count that are true in `there` [M, W], to [M, out_width]."""
        weights = at.weights(self)
        patches = patches * there[..., None]
        mean = patches.sum(1) / there.sum(1, keepdim=True)
        groups, size = int(self.heads.count) // int(self.heads.keys), int(self.heads.size)
        q = linear(mean, weights, Role.Q_PROJ).unflatten(-1, (-1, size))  # type: ignore[no-untyped-call]
        k, v = (
            linear(patches, weights, role).unflatten(-1, (-1, size)).repeat_interleave(groups, dim=2)  # type: ignore[no-untyped-call]
            for role in (Role.K_PROJ, Role.V_PROJ)
        )
        scores = (q[:, None] * k).sum(-1) * size**-0.5
        shares = scores.masked_fill(~there[..., None], float("-inf")).softmax(dim=1)
        return linear((shares[..., None] * v).sum(1).flatten(1), weights, Role.O_PROJ)


class PoolingBridge(Component, frozen=True, kw_only=True):
    """`pooling` of each window, then a gated `projector` to the language model's width.

    `features` is the width of all layers' features side by side.
    """

    name: str
    pooling: WindowPooling
    projector: GatedMLP
    features: Size
    section: Section | None = Section.PROJECTOR

    def conflicts(self) -> Iterable[Conflict]:
        taken, given = self.pooling.width, self.features
        if taken != given:
            made = f"the vision encoder puts out {given:,} ({given.text})"
            yield Conflict(f"the projector takes {taken:,} ({taken.text}), but {made}", (*taken.keys, *given.keys))

    def equation(self, x: str = "x") -> str:
        return self.projector.equation(f"pooled,  pooled = {self.pooling.equation(x)}")

    def gather(self, patches: torch.Tensor, there: torch.Tensor, at: At) -> torch.Tensor:
        """Windows [M, W, features] to [M, width of the language model]."""
        pooled = self.pooling.gather(patches, there, at.below(self.pooling))
        at.stage("pooled", self.pooling.equation(), pooled)
        vectors = at.call(self.projector, pooled)
        at.stage("projector", self.projector.equation(), vectors)
        return vectors


class PaddedPooling(PoolingBridge, frozen=True, kw_only=True):
    """Features of patches that are padding, whole or in part, get a vector of their own each (Molmo)."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("pad_embed", Role.VISUAL_EMBEDDING, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.VISUAL_EMBEDDING: (Size(2), self.features)}

    def terms(self) -> Mapping[Role, str]:
        return {Role.VISUAL_EMBEDDING: "added to the features of patches that are padding: whole, or in part"}
