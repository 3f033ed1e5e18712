"""A vector of a speaker's voice (x-vectors, Snyder et al. 2018): dilated convolutions, then mean and deviation.

Shapes: B clips, F frames, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weightscope.components.audio.layer_sum import LayerSum
from weightscope.components.audio.speech_encoder import Heard
from weightscope.components.audio.speech_heads import SpeechHead
from weightscope.components.base import Component
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class TimeDelay(Component, frozen=True, kw_only=True):
    """relu(matrix·[`kernel` frames, `dilation` apart] + bias)."""

    name: str
    inputs: Size
    outputs: Size
    kernel: Size
    dilation: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("kernel", Role.CONVOLUTION, bias=True),)

    def sizes(self) -> Sizes:
        """A frame's numbers lie together: (outputs, kernel · inputs)."""
        return {Role.CONVOLUTION: (self.outputs, self.inputs * self.kernel)}

    @property
    def reach(self) -> int:
        """How many frames fewer leave."""
        return int((self.kernel - 1) * self.dilation)

    def equation(self, x: str = "x") -> str:
        return f"relu(convolution ∗ {x} + bias)"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CONVOLUTION: f"{self.equation()}   over {self.kernel:,} frames, {self.dilation:,} apart"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[B, F, inputs] to [B, fewer, outputs]."""
        import torch

        weights = at.weights(self)
        kernel = weights[Role.CONVOLUTION].reshape(int(self.outputs), int(self.kernel), -1).transpose(1, 2)
        bias, dilation = weights[f"{Role.CONVOLUTION}.bias"], int(self.dilation)
        return torch.nn.functional.conv1d(x.transpose(1, 2), kernel, bias, dilation=dilation).relu().transpose(1, 2)


class Objective(Component, frozen=True, kw_only=True):
    """A vector of each speaker that training compares with; no pass uses them."""

    name: str
    width: Size
    speakers: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.CLASSIFIER),)

    def sizes(self) -> Sizes:
        return {Role.CLASSIFIER: (self.width, self.speakers)}

    def equation(self, x: str = "x") -> str:
        return f"not used: {x}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.CLASSIFIER: "a column for each speaker, in training alone"}


class SpeakerHead(SpeechHead, frozen=True, kw_only=True):
    """Two vectors of a clip, one made of the other: the embedding is a stage, what the last matrix makes comes out."""

    mix: LayerSum | None
    projector: Projection
    delays: tuple[TimeDelay, ...]
    embedding: Projection
    last: Projection
    objective: Objective
    section: Section | None = Section.HEAD

    def equation(self, x: str = "x") -> str:
        return self.last.equation(self.embedding.equation(f"[mean | std] of delays({self.projector.equation(x)})"))

    def of(self, heard: Heard, at: At) -> torch.Tensor:
        """[B, size of a vector].

        Raises:
            UsageError: a clip is too short for a deviation.
        """
        import torch

        hidden = at.call(self.mix, torch.stack(heard.layers)) if self.mix else heard.frames
        lengths = self._left(heard.real.sum(1).tolist())
        hidden = at.call(self.projector, hidden)
        for delay in self.delays:
            hidden = at.call(delay, hidden)
        clips = [clip[:length] for clip, length in zip(hidden, lengths, strict=True)]
        pooled = torch.stack([torch.cat((clip.mean(0), clip.std(0))) for clip in clips])
        embedding = at.call(self.embedding, pooled)
        at.stage("voice embedding", self.embedding.equation("[mean | std]"), embedding)
        made = at.call(self.last, embedding)
        at.stage("voice", self.last.equation("embedding"), made)
        return made

    def _left(self, frames: Sequence[int]) -> list[int]:
        """How many frames of so many the delays leave."""
        fewer = sum(int(delay.kernel) - 1 for delay in self.delays)
        reach = sum(delay.reach for delay in self.delays)
        # transformers counts without the dilation; what is there bounds it.
        found = [min(count - fewer, max(frames) - reach) for count in frames]
        if min(found) < 2:
            raise UsageError(f"a clip of {min(frames):,} frames is too short for this head")
        return found
