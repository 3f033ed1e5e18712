"""A weight whose method is not implemented: its tensors are known by their marks, its count by the declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.errors import NotImplementedByWeightscope
from weightscope.quantization.common.method import module_of
from weightscope.storage.base import Kind, Stored

if TYPE_CHECKING:
    import torch


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """`packed` is what follows the module in the name of the tensor that holds the weights, `sides` in the others'."""

    name: str
    packed: str
    sides: tuple[str, ...]
    rowwise: bool = False
    formula: str = ""
    packing: str = ""

    @property
    def words(self) -> str:
        """The name, and that it is no more than that."""
        return f"{self.name}, which is not implemented"

    def parts(self, name: str) -> tuple[str, ...]:
        """The packed weight, then what stands beside it."""
        module = module_of(name)
        return tuple(f"{module}{mark}" for mark in (self.packed, *self.sides))

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The same, without shapes."""
        weight, *sides = self.parts(stored.name)
        return (
            replace(stored, name=weight, opaque=True),
            *(replace(stored, name=side, shape=(), kind=Kind.SCALE, opaque=True) for side in sides),
        )

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Nothing: it is refused.

        Raises:
            NotImplementedByWeightscope: always.
        """
        del raw
        raise NotImplementedByWeightscope(f"quantization {self.name!r} is not implemented", where=name)
