"""One role's tensor that lies in several equal pieces along its first dimension."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Scope, Sizes, Stored, join
from weightscope.storage.kernel import channels_last
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class Pieces(Record):
    """The pieces under their modules' `names`, in order, each a `weight`; a kernel's with input channels `last`."""

    __slots__ = ("last", "names", "roles")

    def __init__(self, role: Role, *names: str, last: bool = False) -> None:
        self.roles = (role,)
        self.names = names
        self.last = last

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """Each piece with its share of the first dimension."""
        (role,) = self.roles
        rows, *rest = sizes[role]
        shape: Shape = (rows // len(self.names), *rest)
        shape = channels_last(shape) if self.last else shape
        for name in self.names:
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
        return f"one of {len(self.names)} equal pieces, in order of their rows{turned}"
