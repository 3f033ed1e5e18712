"""An eye that takes crops of one size: each through the tower and the bridge, all crops in one sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye

if TYPE_CHECKING:
    import torch


class CropEye(Eye, frozen=True, kw_only=True):
    """A crop becomes `each` vectors.

    The bridge gets what leaves the tower's `layers` (0 is what enters the first, -1 what leaves the last), side by
    side; the last norm acts on it where `normed`; `whole` keeps the class vector of each crop. The first `skipped`
    patches of each crop are left out.
    """

    tower: VisionEncoder
    bridge: Component
    each: int
    layers: tuple[int, ...] = (-1,)
    whole: bool = False
    normed: bool = False
    skipped: int = 0

    def crops(self, inputs: Inputs) -> torch.Tensor:
        """The pixels of all crops, [crops, channels, height, width].

        Raises:
            UsageError: another shape.
        """
        return self.tower.pixels(inputs)

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return (self.each,) * len(self.crops(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        crops = self.crops(inputs)
        found = self.tower.features(crops, at.below(self.tower), self.layers, normed=self.normed)
        features = torch.cat(found, dim=-1)
        if self.skipped or not self.whole:
            apart = features.unflatten(0, (len(crops), -1))  # type: ignore[no-untyped-call]
            apart = apart if self.whole else self.tower.patches.without_class(apart)
            features = apart[:, self.skipped :].flatten(0, 1)
        vectors = self.bridged(features, inputs, at)
        return Seen(self.arranged(vectors.unflatten(0, (len(crops), -1)), inputs, at))  # type: ignore[no-untyped-call]

    def bridged(self, features: torch.Tensor, inputs: Inputs, at: At) -> torch.Tensor:
        """The features of all crops, [crops · P, width], through the bridge."""
        return at.call(self.bridge, features)

    def arranged(self, vectors: torch.Tensor, inputs: Inputs, at: At) -> torch.Tensor:
        """The vectors [crops, each, D] of all crops as the sequence [N, D] of all images."""
        return vectors.flatten(0, 1)


class TwinEye(CropEye, frozen=True, kw_only=True):
    """An eye beside a tower of its own for videos, which no pass uses."""

    films: VisionEncoder

    def children(self) -> Iterable[Component]:
        return self.tower, self.films, self.bridge
