"""An eye that is named and counted, and whose maths is not implemented."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.vision.eye import Eye
from weightscope.errors import NotImplementedByWeightscope


class UnseenEye(Eye, frozen=True, kw_only=True):
    """`refused` is what is said where an image is given; text alone is computed."""

    processor: ClassVar[str] = "SiglipImageProcessor"

    tower: Component
    bridge: Component
    refused: str

    def children(self) -> Iterable[Component]:
        return self.tower, self.bridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        """Raise.

        Raises:
            NotImplementedByWeightscope: always.
        """
        raise NotImplementedByWeightscope(self.refused)
