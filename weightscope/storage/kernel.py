"""Kernels of convolutions: PyTorch stores the input channels before the kernel's sizes, MLX after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Kind, Scope, Sizes, Stored
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Kernel(msgspec.Struct, frozen=True):
    """A module's `weight`, [out, in, *kernel] or as MLX has it [out, *kernel, in], and with `bias` a vector [out].

    The stored shape tells which of the two it is, unless `last` says whether the input channels come last.
    """

    name: str
    role: Role
    bias: bool = False
    last: bool | None = None

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The weight, then the bias."""
        turned = channels_last(sizes[self.role])
        for stored in self._plain.tensors(prefix, sizes):
            if stored.kind is Kind.BIAS or self.last is False:
                yield stored
            elif self.last:
                yield replace(stored, shape=turned)
            else:
                yield replace(stored, also=(turned,))

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The weight as [out, in, *kernel] under its role, the bias under `role.bias`."""
        found = self._plain.read(prefix, sizes, scope)
        weight = found[self.role]
        last = tuple(weight.shape) != tuple(map(int, sizes[self.role])) if self.last is None else self.last
        if last:
            found[str(self.role)] = weight.movedim(-1, 1).contiguous()
        return found

    def layout(self, sizes: Sizes) -> str:
        """Where the input channels are known to come last."""
        del sizes
        return "stored [out, kernel, in], as MLX has it: the pass turns it" if self.last else ""

    @property
    def _plain(self) -> Plain:
        return Plain(self.name, self.role, bias=self.bias)


def channels_last(shape: Shape) -> Shape:
    """The shape with its second dimension at the end."""
    out, channels, *kernel = shape
    return (out, *kernel, channels)
