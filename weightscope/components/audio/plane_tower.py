"""Qwen3-Omni's encoder of speech: three convolutions over time and bins, each of which halves both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weightscope.components.audio.chunked_tower import ChunkedTower
from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch

THREE = Size(3)
# What transformers' class counts on for each chunk, whatever its size: 100 frames leave as many.
CHUNK_LEAVES = 13


class Halving(Component, frozen=True, kw_only=True):
    """gelu(convolution ∗ x + bias) over 3 × 3 places, every 2 × 2."""

    name: str
    inputs: Size
    outputs: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.CONVOLUTION, bias=True, last=False),)

    def sizes(self) -> Sizes:
        return {Role.CONVOLUTION: (self.outputs, self.inputs, THREE, THREE)}

    def equation(self, x: str = "x") -> str:
        return f"gelu(convolution ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   over 3 × 3 places, every 2 × 2"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[C, inputs, bins, frames] to half as many of both, rounded up."""
        import torch

        weights, functional = at.weights(self), torch.nn.functional
        kernel, bias = weights[Role.CONVOLUTION], weights[f"{Role.CONVOLUTION}.bias"]
        return functional.gelu(functional.conv2d(x, kernel, bias, stride=2, padding=1))


class PlaneTower(ChunkedTower, frozen=True, kw_only=True):
    """The last of the convolutions is a matrix on all bins of a frame; so many `chunks` of a clip see each other."""

    chunks: int

    def convolved(self, chunks: torch.Tensor, lengths: Sequence[int], at: At) -> torch.Tensor:
        del lengths
        if _halved(int(self.chunk)) != CHUNK_LEAVES:
            raise NotImplementedByWeightscope(
                f"chunks of {self.chunk:,} frames are not implemented: the class counts on {CHUNK_LEAVES} for each"
            )
        *convolutions, matrix = self.convolutions
        hidden = chunks[:, None]
        for convolution in convolutions:
            hidden = at.call(convolution, hidden)
        return at.call(matrix, hidden.permute(0, 3, 1, 2).flatten(2))

    def left(self, frames: int) -> int:
        whole, rest = divmod(frames, int(self.chunk))
        return whole * _halved(int(self.chunk)) + _halved(rest)

    def seen_together(self, clips: Sequence[int], chunks: Sequence[int]) -> list[int]:
        window = max(chunks) * self.chunks
        return [min(window, clip - start) for clip in clips for start in range(0, clip, window)]


def _halved(frames: int) -> int:
    """Three times, rounded up."""
    for _ in range(3):
        frames = (frames + 1) // 2
    return frames
