"""Attention of the frames of a clip to those near them, by content and by distance (Transformer-XL, arXiv 1901.02860).

Shapes: N frames of a clip, H heads of d elements, P distances.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.attention.heads import Heads
from weightscope.components.audio.tower import CLIP
from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.components.sinusoids import LONGEST
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# Queries at a time, so that memory does not grow with the square of a clip's length.
QUERIES = 1024


class Distances(msgspec.Struct, frozen=True, kw_only=True):
    """How far a frame sees, and which distances (query - key) have waves: `lowest` to `highest`, after a `shift`.

    It sees `before` frames before it and `after` frames after it. A distance without waves adds nothing to a score.
    """

    before: int
    after: int
    lowest: int
    highest: int
    shift: int = 0

    def waves(self, width: int, device: torch.device) -> torch.Tensor:
        """Sines, then cosines, of all distances [P, width]."""
        import torch

        half = width // 2
        rates = torch.exp(torch.arange(half, device=device) * (-math.log(LONGEST) / max(half - 1, 1)))
        angles = torch.arange(self.lowest, self.highest + 1, device=device)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    def at(self, scores: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
        """Of scores [H, queries, P] those of each query and key [H, queries, keys], by their distances."""
        numbers = distances + self.shift - self.lowest
        known = (numbers >= 0) & (numbers < scores.shape[-1])
        chosen = numbers.clamp(0, scores.shape[-1] - 1).expand(len(scores), -1, -1)
        return scores.gather(2, chosen) * known

    def hides(self, distances: torch.Tensor) -> torch.Tensor:
        """True where a query does not see a key."""
        return (distances > self.before) | (distances < -self.after)


class LocalAttention(Component, frozen=True, kw_only=True):
    """o·softmax(cap(q·(k + r)))·v, r being made of the distance; each element of a query has a learned scale.

    `relative` is the module of the matrix that makes r of waves, `scale` the name of the scales. Keys are multiplied
    by `key_scale`.
    """

    name: str
    projections: tuple[StorageItem, ...]
    relative: str
    scale: str = "per_dim_scale"
    width: Size
    heads: Heads
    distances: Distances
    cap: float
    key_scale: float = 1.0
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        relative, scale = Linear(self.relative, Role.RELATIVE_K_PROJ), Plain(self.scale, Role.QUERY_SCALE, leaf="")
        return *self.projections, relative, scale

    def sizes(self) -> Sizes:
        inner = self.heads.count * self.heads.size
        made = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.RELATIVE_K_PROJ)
        return dict.fromkeys(made, (inner, self.width)) | {
            Role.O_PROJ: (self.width, self.width),
            Role.QUERY_SCALE: (self.heads.size,),
        }

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(cap(q·(k + r)ᵀ, {self.cap:g}))·v of {x}"

    def terms(self) -> Mapping[Role, str]:
        before, after = self.distances.before, self.distances.after
        return {
            Role.Q_PROJ: "q = q_proj·x · softplus(query_scale)",
            Role.K_PROJ: f"k = k_proj·x   of {before} frames before it, itself, and {after} after it",
            Role.V_PROJ: "v = v_proj·x",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.RELATIVE_K_PROJ: "r = relative_k_proj·[sines | cosines of the distance]",
            Role.QUERY_SCALE: "softplus(query_scale) multiplies each element of a query",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width] to [N, width], of all clips one after another.

        Raises:
            NotImplementedByWeightscope: a frame does not see itself.
        """
        import torch

        if self.distances.before < 0:
            raise NotImplementedByWeightscope("attention of frames that do not see themselves is not implemented")
        weights, split = at.weights(self), self.heads.split
        scale = torch.nn.functional.softplus(weights[Role.QUERY_SCALE]) * (int(self.heads.size) ** -0.5 / math.log(2))
        q, k, v = (split(linear(x, weights, role)) for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ))
        waves = self.distances.waves(int(self.width), x.device).to(x.dtype)
        relative = split(linear(waves, weights, Role.RELATIVE_K_PROJ))
        lengths = list(at.run.segments[CLIP])
        parts = (torch.split(part, lengths, dim=1) for part in (q * scale, k * self.key_scale, v))
        mixed = torch.cat([self._clip(*clip, relative=relative) for clip in zip(*parts, strict=True)], dim=1)
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)

    def _clip(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, relative: torch.Tensor) -> torch.Tensor:
        """One clip's [H, N, d] by what the distances make [H, P, d]."""
        import torch

        count, distances, out = q.shape[1], self.distances, torch.empty_like(v)
        places = torch.arange(count, device=q.device)
        for start in range(0, count, QUERIES):
            stop = min(start + QUERIES, count)
            first, last = max(0, start - distances.before), min(count, stop + distances.after)
            queries, away = q[:, start:stop], places[start:stop, None] - places[first:last]
            scores = queries @ k[:, first:last].transpose(1, 2)
            scores = scores + distances.at(queries @ relative.transpose(1, 2), away)
            scores = torch.tanh(scores / self.cap) * self.cap
            shares = scores.masked_fill(distances.hides(away), -math.inf).softmax(-1)
            out[:, start:stop] = shares @ v[:, first:last]
        return out
