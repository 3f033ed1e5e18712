"""An eye whose tower makes a map of an image of any size, each place of which becomes a vector (FastVLM)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Conflict
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.fastvit import FastViT
from weightscope.components.vision.projector import Projector
from weightscope.components.vision.staged import require_images
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class PlaneEye(Eye, frozen=True, kw_only=True):
    """bridge(tower(pixels)); `inputs` is the width that the config says the tower's vectors have."""

    tower: FastViT
    bridge: Projector
    channels: int
    inputs: Size

    def conflicts(self) -> Iterable[Conflict]:
        if self.inputs != self.tower.width:
            made = f"the vision tower puts out {self.tower.width:,} features"
            yield Conflict(f"{made}, and {self.inputs.text} is {self.inputs:,}", self.inputs.keys)

    def images(self, inputs: Inputs) -> torch.Tensor:
        """The pixels of all images, [images, channels, height, width].

        Raises:
            UsageError: another shape.
        """
        pixels = inputs[PIXELS]
        require_images(pixels, self.channels)
        return pixels.reshape(-1, *pixels.shape[-3:])

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        pixels = self.images(inputs)
        return (self.tower.side(pixels.shape[2]) * self.tower.side(pixels.shape[3]),) * len(pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        return Seen(at.call(self.bridge, self.tower.features(self.images(inputs), at.below(self.tower))))
