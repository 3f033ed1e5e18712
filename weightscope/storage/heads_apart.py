"""A projection to keys and values in turn, head by head, that is stored as two stacks of matrices (mlx-lm's `mla`)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Scope, Sizes, Stored, join
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class HeadsApart(Record):
    """Rows (heads · (keys + values), in) as `first` (heads, in, keys), turned, and `second` (heads, values, in)."""

    __slots__ = ("first", "heads", "keys", "roles", "second", "values")

    def __init__(self, role: Role, first: str, second: str, *, heads: Size, keys: Size, values: Size) -> None:
        self.roles = (role,)
        self.first = first
        self.second = second
        self.heads = heads
        self.keys = keys
        self.values = values

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The keys' matrices, then the values'."""
        (role,) = self.roles
        _, columns = sizes[role]
        for name, shape in (
            (self.first, (self.heads, columns, self.keys)),
            (self.second, (self.heads, self.values, columns)),
        ):
            yield Stored(name=join(prefix, f"{name}.weight"), shape=shape, parts=((role, int(prod(shape))),))

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The whole matrix under its role."""
        import torch

        del sizes
        keys, values = (scope.tensor(join(prefix, f"{name}.weight")) for name in (self.first, self.second))
        return {str(self.roles[0]): torch.cat((keys.transpose(1, 2), values), dim=1).flatten(0, 1)}

    def layout(self, sizes: Sizes) -> str:
        """What the two stacks hold."""
        del sizes
        return f"a matrix a head: {self.first} makes keys (turned), {self.second} values"
