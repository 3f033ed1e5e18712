"""Qwen2.5-Omni's encoder of speech: two convolutions over time, and the mean of each two frames at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.components.audio.chunked_tower import ChunkedTower
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


class PooledTower(ChunkedTower, frozen=True, kw_only=True):
    """What pads a chunk is 0 between the convolutions too."""

    def convolved(self, chunks: torch.Tensor, lengths: Sequence[int], at: At) -> torch.Tensor:
        import torch

        first, second = self.convolutions
        ends = torch.tensor(lengths, device=chunks.device)
        real = torch.arange(chunks.shape[2], device=chunks.device) < ends[:, None]
        return at.call(second, at.call(first, chunks) * real[:, None]).transpose(1, 2)

    def left(self, frames: int) -> int:
        return (frames - 1) // 2 + 1

    def vectors(self, frames: int) -> int:
        return self.left(frames) // 2

    def pooled(self, hidden: torch.Tensor, clips: Sequence[int]) -> torch.Tensor:
        import torch

        by_clip = torch.split(hidden, list(clips))
        return torch.cat([clip[: len(clip) // 2 * 2].reshape(-1, 2, clip.shape[1]).mean(1) for clip in by_clip])
