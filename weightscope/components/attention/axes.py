"""Rotations by positions of several axes, whose sections lie otherwise than one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.attention.rope import Rope
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import torch


class TimeLastRope(Rope, frozen=True, kw_only=True):
    """Rows and columns in turns, then time (ERNIE 4.5 VL); `sections` are the pairs of rows, columns and time."""

    def _axes(self, pairs: int, axes: int) -> torch.Tensor:
        import torch

        if axes != 3 or len(self.sections) != 3 or sum(self.sections) != pairs or self.sections[0] != self.sections[1]:
            raise NotImplementedByWeightscope(
                f"an mrope_section of {list(self.sections)} for {pairs:,} pairs: those of rows and columns are as many"
            )
        rows, _, times = self.sections
        return torch.cat((torch.tensor([1, 2]).repeat(rows), torch.zeros(times, dtype=torch.long)))


class HalvedRope(Rope, frozen=True, kw_only=True):
    """Sections run over a head's elements, so that the two of a pair turn by different axes (HunyuanOCR)."""

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, dim/2] of positions [T], or [T, dim] of positions [axes, T].

        Raises:
            NotImplementedByWeightscope: as for `Rope`, or sections that do not fit to the axes.
        """
        import torch

        if positions.ndim == 1:
            return super().rotation(positions, dtype)
        if sum(self.sections) * 2 != self.dim or len(self.sections) != len(positions):
            raise NotImplementedByWeightscope(f"positions with {len(positions)} axes need an mrope_section")
        frequencies, factor = self.scaling.frequencies(self.dim, self.theta, int(positions.max()) + 1)
        lengths = torch.tensor(self.sections) * 2
        axes = torch.repeat_interleave(torch.arange(len(self.sections)), lengths).to(positions.device)
        angles = positions[axes].float().T * frequencies.repeat(2).to(positions.device)
        return (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)

    def turn(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """X [heads, T, head_dim] rotated."""
        import torch

        cos, sin = rotation
        if cos.shape[-1] < self.dim:
            return super().turn(x, rotation)
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin
