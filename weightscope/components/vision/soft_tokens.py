"""Eyes that take crops as SigLIP does; Gemma 3 writes an image between two tokens, in a paragraph of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.sense import Layout, between
from weightscope.components.vision.crops import CropEye


class SiglipEye(CropEye, frozen=True, kw_only=True):
    """Where its settings do not name the processor, it is SigLIP's."""

    processor: ClassVar[str] = "SiglipImageProcessor"


class SoftTokenEye(CropEye, frozen=True, kw_only=True):
    """`begin` and `end` are the tokens around an image, None for none.

    Its processor also counts the crops of each image, `num_crops`, which the model does not use.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, "num_crops")
    beside: ClassVar[tuple[str, ...]] = ("num_crops",)
    processor: ClassVar[str] = "Gemma3ImageProcessor"

    begin: int | None
    end: int | None

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [("\n\n", *between(self.begin, count, self.end), "\n\n") for count in self.counts(inputs)]
