"""An eye whose learned queries look at patches (MiniCPM-V, arXiv 2408.01800): its tensors, without its maths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import InProjection, Linear
from weightscope.storage.plain import Plain


class QueryBridge(Component, frozen=True, kw_only=True):
    """Patches brought to the language model's `width`, `queries` vectors that attend to them, and a matrix."""

    width: Size
    queries: Size
    projection: Projection
    norms: tuple[Norm, ...]
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("query", Role.PROBE, leaf=""),
            InProjection("attn.in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
            Linear("attn.out_proj", Role.O_PROJ, bias=True),
            Plain("proj", Role.PROJECTOR, leaf=""),
        )

    def sizes(self) -> Sizes:
        square = (self.width, self.width)
        matrices = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ, Role.PROJECTOR)
        return {Role.PROBE: (self.queries, self.width), **dict.fromkeys(matrices, square)}

    def children(self) -> Iterable[Component]:
        return (self.projection, *self.norms)


class UnseenEye(Eye, frozen=True, kw_only=True):
    """Its tensors are known; what is `refused` are images, text alone is computed."""

    needs: ClassVar[tuple[str, ...]] = (PIXELS,)
    processor: ClassVar[str] = "MiniCPMVImageProcessor"

    tower: VisionEncoder
    bridge: QueryBridge
    refused: str

    def children(self) -> Iterable[Component]:
        return self.tower, self.bridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        raise NotImplementedByWeightscope(f"{self.refused} are not implemented, text alone is")
