"""The bridge of a vision-language model: from the vision encoder's width to the language model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Group
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class Projection(Component, frozen=True, kw_only=True):
    """One linear layer of a projector, or what brings embeddings of another width to the layers' (OPT)."""

    name: str
    inputs: Size
    outputs: Size
    bias: bool
    role: Role = Role.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("", self.role, bias=self.bias),)

    def sizes(self) -> Sizes:
        return {self.role: (self.outputs, self.inputs)}

    def equation(self, x: str = "x") -> str:
        return f"{self.name}·{x}"

    def terms(self) -> Mapping[Role, str]:
        return {self.role: self.equation() + (" + bias" if self.bias else "")}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, inputs] to [N, outputs]."""
        return linear(x, at.weights(self), self.role)


class Projector(Group, frozen=True, kw_only=True):
    """Linear, activation, linear (LLaVA-1.5, arXiv 2310.03744)."""

    activation: str
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        for part in self.parts[:-1]:
            x = f"{WORDS.get(self.activation, self.activation)}({part.equation(x)})"
        return self.parts[-1].equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width of the vision encoder] to [N, width of the language model]."""
        for part in self.parts[:-1]:
            x = activate(self.activation, at.call(part, x))
        x = at.call(self.parts[-1], x)
        at.stage("projector", self.equation(), x)
        return x
