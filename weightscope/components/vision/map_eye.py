"""An eye whose tower makes one map of an image, however large it is (Gemma 3n)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.apart_tokens import ApartTokens
from weightscope.components.base import Conflict
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, between
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.mobilenet import MobileNet
from weightscope.components.vision.staged import require_images
from weightscope.errors import UsageError
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch

APART = "\n\n"


class MapEye(Eye, frozen=True, kw_only=True):
    """bridge(tower(pixels) · √width). The model has places for `each` vectors of an image.

    The tokens `begin` and `end` stand around an image (None for none), two line ends before and after them.
    """

    processor: ClassVar[str] = "SiglipImageProcessor"

    tower: MobileNet
    bridge: ApartTokens
    each: Size
    begin: int | None
    end: int | None

    def conflicts(self) -> Iterable[Conflict]:
        taken, width = self.bridge.inputs, self.tower.width
        if taken != width:
            yield Conflict(f"the vision tower puts out {width:,} features, and {taken.text} is {taken:,}", taken.keys)
        if self.each != self.tower.each:
            made = f"the vision tower makes {self.tower.each:,} vectors of an image"
            yield Conflict(f"{made}, and {self.each.text} is {self.each:,}", self.each.keys)

    def images(self, inputs: Inputs) -> torch.Tensor:
        """The pixels of all images, [images, channels, height, width].

        Raises:
            UsageError: another shape.
        """
        pixels = inputs[PIXELS]
        require_images(pixels, int(self.tower.channels))
        return pixels.reshape(-1, *pixels.shape[-3:])

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        for conflict in self.conflicts():
            raise UsageError(conflict.what)
        return (self.tower.each,) * len(self.images(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [(APART, *between(self.begin, count, self.end), APART) for count in self.counts(inputs)]

    def see(self, inputs: Inputs, at: At) -> Seen:
        features = self.tower.features(self.images(inputs), at.below(self.tower))
        vectors = at.call(self.bridge, features * features.shape[-1] ** 0.5)
        at.labelled("vision").stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)
