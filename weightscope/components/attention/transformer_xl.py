"""Transformer-XL's attention (arXiv 1901.02860), with segments as in XLNet (arXiv 1906.08237).

Shapes: H heads, T tokens, d elements of a head, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.heads import Heads
from weightscope.components.base import Component
from weightscope.components.encoder import TYPES
from weightscope.components.running import At
from weightscope.components.sinusoids import LONGEST
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24
PROJECTIONS = {
    "q": Role.Q_PROJ, "k": Role.K_PROJ, "v": Role.V_PROJ, "o": Role.O_PROJ, "r": Role.RELATIVE_K_PROJ,
}  # fmt: skip
BIASES = {"r_w_bias": Role.CONTENT_BIAS, "r_r_bias": Role.DISTANCE_BIAS, "r_s_bias": Role.SEGMENT_BIAS}


class SegmentedAttention(Component, frozen=True, kw_only=True):
    """A query scores the key, the waves of the distance to it, and whether both tokens are of one segment.

    Each of the three has a bias of its own for the queries. Without types of tokens there is no third. Distances
    beyond `clamp` count as that far; 0 is no bound. A `causal` one sees what is before.
    """

    name: str
    width: Size
    heads: Heads
    causal: bool
    clamp: int = 0
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        for leaf, role in (PROJECTIONS | BIASES | {"seg_embed": Role.SEGMENT_KEY}).items():
            yield Plain("", role, leaf=leaf)

    def sizes(self) -> Sizes:
        head = (self.heads.count, self.heads.size)
        return (
            dict.fromkeys(PROJECTIONS.values(), (self.width, *head))
            | dict.fromkeys(BIASES.values(), head)
            | {Role.SEGMENT_KEY: (Size(2), *head)}
        )

    @property
    def glance(self) -> str:
        return self.heads.words if self.causal else f"{self.heads.words}, bidirectional"

    def equation(self, x: str = "x") -> str:
        scores = "(q + content_bias)·kᵀ + (q + distance_bias)·k_distanceᵀ + (q + segment_bias)·segment_keyᵀ"
        return f"o_proj·softmax(({scores})/√{int(self.heads.size)})·v"

    def terms(self) -> Mapping[Role, str]:
        of = f"in {int(self.heads.count)} heads of {int(self.heads.size)}"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {of}",
            Role.K_PROJ: f"k = k_proj·x   {of}",
            Role.V_PROJ: f"v = v_proj·x   {of}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.RELATIVE_K_PROJ: f"k_distance = relative_k_proj·[sines and cosines of the distance]   {of}",
            Role.CONTENT_BIAS: "added to queries that score keys",
            Role.DISTANCE_BIAS: "added to queries that score distances",
            Role.SEGMENT_BIAS: "added to queries that score segments",
            Role.SEGMENT_KEY: "segment_key[0] of a token of the same segment, [1] of another",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        weights = at.weights(self)
        q, k, v = (torch.einsum("tw,whd->htd", x, weights[role]) for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ))
        far = torch.einsum("tw,whd->htd", self.waves(len(x), x), weights[Role.RELATIVE_K_PROJ])
        types = at.run.inputs.get(TYPES)
        segments = None if types is None else types.flatten().to(x.device)
        places = torch.arange(len(x), device=x.device)
        step = max(1, SCORES // max(len(q) * len(x), 1))
        mixed = []
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            scores = self._content(q[:, rows], k, weights)
            scores = scores + self._distances(q[:, rows], far, places[rows, None] - places, weights)
            if segments is not None:
                scores = scores + self._segments(q[:, rows], segments[rows, None] != segments, weights)
            if self.causal:
                scores = scores.masked_fill(places > places[rows, None], -math.inf)
            mixed.append(torch.softmax(scores / math.sqrt(int(self.heads.size)), dim=-1) @ v)
        return torch.einsum("htd,whd->tw", torch.cat(mixed, dim=1), weights[Role.O_PROJ])

    def waves(self, length: int, x: torch.Tensor) -> torch.Tensor:
        """Sines, then cosines of the distances from 1 - `length` to `length` - 1, [2T - 1, D], in the type of x."""
        import torch

        distances = torch.arange(1 - length, length, device=x.device).float()
        distances = distances.clamp(-self.clamp, self.clamp) if self.clamp > 0 else distances
        width = int(self.width)
        angles = distances[:, None] / LONGEST ** (torch.arange(0, width, 2, device=x.device).float() / width)
        return torch.cat((angles.sin(), angles.cos()), dim=1).to(x.dtype)

    def _content(self, q: torch.Tensor, k: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Scores [H, queries, T] of keys."""
        return (q + weights[Role.CONTENT_BIAS][:, None]) @ k.transpose(1, 2)

    def _distances(
        self, q: torch.Tensor, far: torch.Tensor, distance: torch.Tensor, weights: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Scores [H, queries, T] of distances [queries, T], whose keys are `far` [H, 2T - 1, d]."""
        all_of_them = (q + weights[Role.DISTANCE_BIAS][:, None]) @ far.transpose(1, 2)
        return all_of_them.gather(2, (distance + distance.shape[1] - 1).expand(len(q), -1, -1))

    def _segments(self, q: torch.Tensor, other: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Scores [H, queries, T] of whether a key is of an `other` segment, [queries, T]."""
        both = (q + weights[Role.SEGMENT_BIAS][:, None]) @ weights[Role.SEGMENT_KEY].permute(1, 2, 0)
        return both.gather(2, other.long().expand(len(q), -1, -1))
