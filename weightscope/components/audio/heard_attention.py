"""Attention of the frames of a clip by content and distance, in which a mask adds 1 to scores (Phi-4-multimodal).

Source: `Phi4MultimodalAudioModel` of transformers. It adds its mask of true and false to the scores and hides nothing:
frames that only fill up a clip are seen, and their scores are lower by 1. So does Microsoft's own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from weightscope.components.attention.attend import Bias
from weightscope.components.attention.softmax import Attention
from weightscope.components.audio.clip_distances import ClipDistances
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch

# Under which name the pass has, for each clip, which of its frames [N] are no filling.
HEARD = "frames that are heard"


class Chunks(NamedTuple):
    """The mask is true of frames in a query's own chunk of so many frames, and in so many chunks `before` it."""

    frames: int
    before: int

    def marks(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """True [queries, keys], by positions [queries, 1] and [keys]."""
        back = queries // self.frames - keys // self.frames
        return (back >= 0) & (back <= self.before)


class HeardBias(NamedTuple):
    """Biases by distance, and 1 where the mask is true: of frames that are `heard` [N], in the `chunks` it has."""

    distances: Bias
    heard: torch.Tensor
    chunks: Chunks | None

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """What is added to scores, [H, queries, keys], by positions [queries, 1] and [keys]."""
        heard = self.heard[keys]
        marked = heard if self.chunks is None else heard & self.chunks.marks(queries, keys)
        return self.distances.bias(queries, keys) + marked


class HeardAttention(Attention, frozen=True, kw_only=True):
    """All frames of a clip see each other; those that the mask marks score higher by 1."""

    positions: ClipDistances
    chunks: Chunks | None = None

    @property
    def biased(self) -> str:
        return " + relative_position + mask"

    def _segment_biases(self, weights: Mapping[str, torch.Tensor], at: At) -> list[HeardBias]:
        """By distance, and by what is heard of each clip."""
        distances = self.positions.made(weights, at)
        return [HeardBias(distances, heard, self.chunks) for heard in at.run.shared[HEARD]]
