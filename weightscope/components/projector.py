"""The bridge of a vision-language model: from the vision encoder's width to the language model's."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Group
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear


class Projection(Component, frozen=True, kw_only=True):
    """One linear layer of a projector."""

    name: str
    inputs: Size
    outputs: Size
    bias: bool

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One matrix, and its bias."""
        return (Linear("", Role.PROJECTOR, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(outputs, inputs)."""
        return {Role.PROJECTOR: (self.outputs, self.inputs)}


class Projector(Group, frozen=True, kw_only=True):
    """Linear, activation, linear (LLaVA-1.5, arXiv 2310.03744)."""

    activation: str
    section: Section | None = Section.PROJECTOR
