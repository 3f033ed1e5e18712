"""A matrix that is not used alone: the product of two thin ones is added to it (Zamba2's LoRA of shared layers)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.storage.base import Scope, Sizes, Stored, join
from weightscope.storage.linear import Linear
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class Adapted(Record):
    """`base` + B·A, where `first` is A (rank, in) and `second` is B (out, rank), each the path of a module.

    A and B are stored by a component of their own, since several layers may each add their own to one base.
    """

    __slots__ = ("base", "first", "second")

    def __init__(self, base: Linear, first: str, second: str) -> None:
        self.base = base
        self.first = first
        self.second = second

    @property
    def roles(self) -> tuple[Role, ...]:
        """The base's."""
        return self.base.roles

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The base's."""
        return self.base.tensors(prefix, sizes)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """Each role's matrix with its rows of B·A added, in float32 at least."""
        import torch

        found = self.base.read(prefix, sizes, scope)
        first, second = (scope.tensor(join(prefix, f"{path}.weight")) for path in (self.first, self.second))
        wide = torch.promote_types(first.dtype, torch.float32)
        product = second.to(wide) @ first.to(wide)
        parts = torch.split(product, [int(sizes[role][0]) for role in self.roles])
        for role, part in zip(self.roles, parts, strict=True):
            found[role] = found[role].to(wide) + part
        return found

    def layout(self, sizes: Sizes) -> str:
        """What is added."""
        base = self.base.layout(sizes)
        return f"{base}; " * bool(base) + f"the pass adds the product of {self.second} and {self.first}"
