"""One linear layer that is a part of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class Projection(Component, frozen=True, kw_only=True):
    """W·x + b: a layer of a projector, or what brings embeddings of another width to the layers' (OPT).

    An `optional` one may be stored, and the model runs without it.
    """

    name: str
    inputs: Size
    outputs: Size
    bias: bool
    role: Role = Role.PROJECTOR
    optional: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("", self.role, bias=self.bias, optional=self.optional),)

    def sizes(self) -> Sizes:
        return {self.role: (self.outputs, self.inputs)}

    def equation(self, x: str = "x") -> str:
        return f"{self.name}·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {self.role: self.equation() + (" + bias" if self.bias else "")}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        return linear(x, at.weights(self), self.role)
