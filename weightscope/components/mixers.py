"""Layers that are not the usual two halves: a single mixer, or several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


class MixerBlock(Component, frozen=True, kw_only=True):
    """x + mixer(norm(x)), and nothing else (Mamba)."""

    norm: Norm
    mixer: Component

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        return self.mix(x, at)

    def mix(self, x: torch.Tensor, at: At, added: torch.Tensor | None = None) -> torch.Tensor:
        """[T, D] to [T, D]; what is `added` enters the mixer, and is not kept beside it."""
        entering, word = (x, "x") if added is None else (x + added, "x + added")
        out = x + at.call(self.mixer, at.call(self.norm, entering))
        at.stage(self.mixer.word, f"x + {self.mixer.equation('n')},  n = {self.norm.word}({word})", out)
        return out


class SideBySide(Component, frozen=True, kw_only=True):
    """The sum of several mixers of the same x, each of `scales` (in, out) multiplying what enters and what leaves.

    Falcon-H1 (arXiv 2507.22448) has a state space and attention in every layer.
    """

    parts: tuple[Component, ...]
    scales: tuple[tuple[float, float], ...]

    @property
    def word(self) -> str:
        """All of their names."""
        return " + ".join(part.word for part in self.parts)

    def equation(self, x: str = "x") -> str:
        return " + ".join(
            f"{_times(leaving)}{part.equation(f'{_times(entering)}{x}')}"
            for part, (entering, leaving) in zip(self.parts, self.scales, strict=True)
        )

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        out = torch.zeros_like(x)
        for part, (entering, leaving) in zip(self.parts, self.scales, strict=True):
            out = out + at.call(part, x * entering) * leaving
        return out


def _times(scale: float) -> str:
    return f"{scale:.4g}·" if scale != 1.0 else ""


class NormedBlock(Component, frozen=True, kw_only=True):
    """α·n + β·attention(n) with n = input_norm(x), then the same with the feed-forward: what is kept is normed as well.

    `attention_scales` and `feed_forward_scales` are each (α, β) (MiniMax-Text-01, arXiv 2501.08313).
    """

    input_norm: Norm
    attention: Component
    feed_forward_norm: Norm
    feed_forward: Component
    attention_scales: tuple[float, float] = (1.0, 1.0)
    feed_forward_scales: tuple[float, float] = (1.0, 1.0)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        halves = (
            (self.input_norm, self.attention, self.attention_scales),
            (self.feed_forward_norm, self.feed_forward, self.feed_forward_scales),
        )
        for norm, part, (kept, added) in halves:
            normed = at.call(norm, x)
            x = normed * kept + at.call(part, normed) * added
            at.stage(part.word, f"{_times(kept)}n + {_times(added)}{part.equation('n')},  n = {norm.word}(x)", x)
        return x
