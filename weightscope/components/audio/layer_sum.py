"""What all layers of an encoder put out as one, by learned shares (SUPERB, arXiv 2105.01051)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class LayerSum(Component, frozen=True, kw_only=True):
    """What enters the first layer and what each puts out, `count` in all, each by its share; shares add up to 1."""

    count: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("layer_weights", Role.LAYER_WEIGHT, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.LAYER_WEIGHT: (self.count,)}

    def equation(self, x: str = "x") -> str:
        return f"softmax(layer_weight)·[{x} of each layer]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAYER_WEIGHT: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[layers, …] to […]."""
        import torch

        shares = at.weights(self)[Role.LAYER_WEIGHT].softmax(-1)
        mixed: torch.Tensor = torch.tensordot(shares, x, dims=1)
        return mixed
