"""Attention with linear biases (Press et al. 2022, arXiv 2108.12409)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.positions import Positions

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At


class Alibi(Positions, frozen=True, kw_only=True):
    """What is taken from a score for the distance: slope · distance, by head.

    `scale` multiplies it as it does the scores. One that is `rounded` is computed in bfloat16 from the key's place
    alone, as Falcon computes it: softmax sees only differences, but not what rounding took.
    """

    heads: int
    most: int = 8
    scale: float = 1.0
    rounded: bool = False
    added: ClassVar[str] = " − slope·distance"

    @property
    def slopes(self) -> tuple[float, ...]:
        """A power of two n has 2^(-most/n), 2^(-2·most/n), …; what is beyond it every other slope of twice as many."""
        under = 1 << (self.heads.bit_length() - 1)
        return (*self._falling(under), *self._falling(2 * under)[::2])[: self.heads]

    def _falling(self, count: int) -> tuple[float, ...]:
        return tuple(2.0 ** (-self.most * (i + 1) / count) for i in range(count))

    def made(self, weights: Mapping[str, torch.Tensor], at: At) -> Alibi:
        """Itself: nothing of it is stored."""
        del weights, at
        return self

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        import torch

        slopes = torch.tensor(self.slopes, device=keys.device)[:, None, None]
        if self.rounded:
            return (slopes.bfloat16() * keys).float() * self.scale
        return -slopes * (queries - keys) * self.scale

    @property
    def words(self) -> str:
        """What it is, a sentence for people."""
        return "ALiBi subtracts slope · distance from each score; each head has its own slope."
