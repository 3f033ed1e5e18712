"""One role's tensor that lies in several pieces along its first dimension."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Scope, Sizes, Stored, join
from weightscope.storage.kernel import channels_last
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class Pieces(Record):
    """The pieces under their modules' `names`, in order, each a `weight`; a kernel's with input channels `last`.

    `rows` are how many of the first dimension each has; otherwise they are equal, the last one smaller if need be.
    """

    __slots__ = ("last", "names", "roles", "rows")

    def __init__(self, role: Role, *names: str, last: bool = False, rows: tuple[Size, ...] = ()) -> None:
        self.roles = (role,)
        self.names = names
        self.last = last
        self.rows = rows

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """Each piece with its share of the first dimension."""
        (role,) = self.roles
        _, *rest = sizes[role]
        for name, rows in zip(self.names, self._shares(sizes), strict=True):
            shape: Shape = (rows, *rest)
            shape = channels_last(shape) if self.last else shape
            yield Stored(name=join(prefix, f"{name}.weight"), shape=shape, parts=((role, int(prod(shape))),))

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The whole tensor under its role."""
        import torch

        del sizes
        pieces = [scope.tensor(join(prefix, f"{name}.weight")) for name in self.names]
        whole = torch.cat(pieces)
        return {str(self.roles[0]): whole.movedim(-1, 1).contiguous() if self.last else whole}

    def layout(self, sizes: Sizes) -> str:
        """Which share of the rows a tensor holds."""
        del sizes
        turned = "; stored [out, kernel, in]: the pass turns it" if self.last else ""
        if not self.rows:
            return f"one of {len(self.names)} equal pieces, in order of their rows{turned}"
        shares = ", ".join(f"{int(rows):,} in {name}" for name, rows in zip(self.names, self.rows, strict=True))
        return f"rows lie in pieces: {shares}{turned}"

    def _shares(self, sizes: Sizes) -> tuple[Size, ...]:
        if self.rows:
            return self.rows
        whole, count = sizes[self.roles[0]][0], len(self.names)
        if whole % count == 0:
            return (whole // count,) * count
        share = whole // count + 1
        return (*(share,) * (count - 1), whole - share * (count - 1))
