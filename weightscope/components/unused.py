"""What files may hold beside a model and nothing computes with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Scope, Sizes, StorageItem, Stored, join

if TYPE_CHECKING:
    import torch

    from weightscope.components.state import State


class Leftover(msgspec.Struct, frozen=True):
    """One tensor of a known shape, which need not be there."""

    name: str
    shape: Shape
    role: Role = Role.OUTPUT_PROJ

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The tensor; its shape does not come from the component's sizes."""
        del sizes
        parts = ((self.role, int(prod(self.shape))),)
        yield Stored(name=join(prefix, self.name), shape=self.shape, parts=parts, optional=True)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """Nothing: it is not used."""
        del prefix, sizes, scope
        return {}

    def layout(self, sizes: Sizes) -> str:
        """As it is."""
        del sizes
        return ""


class Unused(Component, frozen=True, kw_only=True):
    """Tensors by name and shape."""

    shapes: tuple[tuple[str, Shape], ...]
    auxiliary: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        return tuple(Leftover(name, shape) for name, shape in self.shapes)

    def equation(self, x: str = "x") -> str:
        return f"not used: {x}"

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it is not used."""
        return ()
