"""How queries and keys make scores, and scores make shares: scale, soft cap, sinks, temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import torch


class Temperature(msgspec.Struct, frozen=True, kw_only=True):
    """1 + share · log(1 + ⌊position / every⌋): queries grow with their position (Llama 4's scaling, in Ministral 3).

    Positions count from `first`.
    """

    share: float
    every: int
    first: int = 0

    def of(self, positions: torch.Tensor) -> torch.Tensor:
        """The factor of each position [T]."""
        import torch

        return 1 + self.share * torch.log(1 + torch.floor((positions + self.first) / self.every))


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """softmax(cap(q·kᵀ · scale)) over the positions that a token sees.

    `scale` is 1/√head_dim unless the family says otherwise. `cap` bounds the scores: cap · tanh(scores / cap) (Gemma
    2). `sinks` is the name of a stored score for each head that takes its share and gives nothing (gpt-oss).
    `temperature` makes queries of late positions larger.
    """

    scale: float | None = None
    cap: float | None = None
    sinks: str | None = None
    temperature: Temperature | None = None

    def factor(self, head_dim: int) -> float:
        """What q·kᵀ is multiplied by."""
        return head_dim**-0.5 if self.scale is None else self.scale

    def words(self, head_dim: int, bias: str = "") -> str:
        """The scores as maths; `bias` is what positions add to them."""
        usual = self.scale is None or math.isclose(self.scale * head_dim**0.5, 1)
        scale = f"/√{head_dim}" if usual else f"·{self.scale:.4g}"
        scores = f"q·kᵀ{scale}"
        scores = f"cap({scores}, {self.cap:g})" if self.cap else scores
        scores += bias
        return f"[{scores} | sink]" if self.sinks else scores


PLAIN = Scores()
