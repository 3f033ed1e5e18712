"""A matrix between bounds that are stored beside it: what enters and what leaves is clamped (Gemma 4's towers)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.storage.base import BOUNDS_END, Kind, Scope, Sizes, Stored, join
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

BOUNDS = ("input_min", "input_max", "output_min", "output_max")


class ClippedLinear(Linear):
    """A module that holds a `linear` and four numbers, which are buffers."""

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The matrix, then the bounds."""
        path = join(prefix, self.name)
        yield from Linear("linear", *self.roles).tensors(path, sizes)
        for bound in BOUNDS:
            yield Stored(name=f"{path}.{bound}", shape=(), parts=((Role.CLIP_BOUND, 1),), kind=Kind.BUFFER)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The matrix under its role, the bounds [4] under `role.bounds`."""
        import torch

        path = join(prefix, self.name)
        bounds = torch.stack([scope.tensor(f"{path}.{bound}").reshape(()) for bound in BOUNDS])
        return Linear("linear", *self.roles).read(path, sizes, scope) | {f"{self.roles[0]}{BOUNDS_END}": bounds}
