"""Kernels stored as lengths and directions (weight normalization, arXiv 1602.07868)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, Scope, Sizes, Stored, join

if TYPE_CHECKING:
    import torch

# The names of a module's lengths and directions: as torch has them today, and as it had them before 2.0.
PARAMETRIZED = ("parametrizations.weight.original0", "parametrizations.weight.original1")
BEFORE = ("weight_g", "weight_v")


class WeightNormed(msgspec.Struct, frozen=True):
    """A kernel [out, in, places] as a length for each place [1, 1, places] and a direction [out, in, places].

    `leaves` are the names of the two; a vector `bias` [out] lies beside them.
    """

    name: str
    role: Role
    leaves: tuple[str, str] = PARAMETRIZED

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The lengths, the directions, then the bias; both of the former are learned."""
        kernel, path = sizes[self.role], join(prefix, self.name)
        one = Size(1)
        lengths: Shape = (one, one, kernel[-1])
        for leaf, shape in zip(self.leaves, (lengths, kernel), strict=True):
            yield Stored(name=f"{path}.{leaf}", shape=shape, parts=((self.role, int(prod(shape))),))
        yield Stored(name=f"{path}.bias", shape=kernel[:1], parts=((self.role, int(kernel[0])),), kind=Kind.BIAS)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The kernel under its role, in float32 at least, and `role.bias`."""
        import torch

        del sizes
        path = join(prefix, self.name)
        lengths, directions = (scope.tensor(f"{path}.{leaf}") for leaf in self.leaves)
        wide = torch.promote_types(directions.dtype, torch.float32)
        directions = directions.to(wide)
        kernel = directions * (lengths.to(wide) / directions.norm(dim=(0, 1), keepdim=True))
        return {str(self.role): kernel, f"{self.role}.bias": scope.tensor(f"{path}.bias")}

    def layout(self, sizes: Sizes) -> str:
        """How the kernel follows from the two."""
        del sizes
        return f"the kernel is {self.leaves[1]} at length {self.leaves[0]}, for each of its places"
