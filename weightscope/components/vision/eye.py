"""An eye: what a vision-language model makes of images before its language model sees them."""

from __future__ import annotations

from typing import ClassVar

from weightscope.components.runnable import PIXELS
from weightscope.components.sense import Sense


class Eye(Sense, frozen=True, kw_only=True):
    """A vision tower and the bridge to the language model."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS,)
    needs: ClassVar[tuple[str, ...]] = (PIXELS,)
    processor: ClassVar[str] = "CLIPImageProcessor"
    thing: ClassVar[str] = "image"
    question: ClassVar[str] = "What is shown in this image?"
