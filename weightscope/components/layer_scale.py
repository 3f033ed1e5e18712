"""A learned factor for each element of what a half of a block adds (Touvron et al. 2021, arXiv 2103.17239)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class LayerScale(Component, frozen=True, kw_only=True):
    """x · w. The vector is a parameter of the block, under its `name`."""

    parameter: str
    size: Size
    word: ClassVar[str] = "layer_scale"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain(self.parameter, Role.LAYER_SCALE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.LAYER_SCALE: (self.size,)}

    def equation(self, x: str = "x") -> str:
        return f"{x} · {Role.LAYER_SCALE}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAYER_SCALE: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]."""
        return x * at.weights(self)[Role.LAYER_SCALE]
