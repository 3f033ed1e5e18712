"""Patches of images of any size as vectors, and learned positions that are stretched over them (Qwen2-VL, Qwen3-VL)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isqrt
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.components.vision.grids import Grid, places
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class PatchProjection(Component, frozen=True, kw_only=True):
    """A convolution whose stride is its kernel: a matrix on each patch of `frames` × `patch` × `patch` pixels.

    Without `frames` it has no dimension for them (Pixtral). `kernel` is the convolution's name below `name`.
    """

    name: str
    width: Size
    channels: Size
    frames: Size | None = None
    patch: Size
    bias: bool
    kernel: str = "proj"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel(self.kernel, Role.PATCH_EMBEDDING, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(width, channels, frames, patch, patch), as `torch.nn.Conv3d` has it, or as Conv2d without frames."""
        frames = () if self.frames is None else (self.frames,)
        return {Role.PATCH_EMBEDDING: (self.width, self.channels, *frames, self.patch, self.patch)}

    @property
    def pixels(self) -> int:
        """Values of a patch."""
        return int(self.channels * (1 if self.frames is None else self.frames) * self.patch * self.patch)

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding ∗ {x}" + (" + bias" if self.bias else "")

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {Role.PATCH_EMBEDDING: f"{self.equation()}   a vector for each {patch} × {patch} pixels"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, channels · frames · patch · patch] to [N, width]."""
        import torch

        weights = at.weights(self)
        bias = weights.get(f"{Role.PATCH_EMBEDDING}.bias")
        return torch.nn.functional.linear(x, weights[Role.PATCH_EMBEDDING].flatten(1), bias)


class FlatPatches(PatchProjection, frozen=True, kw_only=True):
    """The same stored as a matrix."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear(self.kernel, Role.PATCH_EMBEDDING, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(width, channels · patch · patch)."""
        return {Role.PATCH_EMBEDDING: (self.width, self.channels * self.patch * self.patch)}


class StretchedPositions(Component, frozen=True, kw_only=True):
    """A square table of learned positions, over which each image's grid is stretched bilinearly (Qwen3-VL)."""

    name: str
    count: Size
    width: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.POSITION_EMBEDDING),)

    def sizes(self) -> Sizes:
        return {Role.POSITION_EMBEDDING: (self.count, self.width)}

    def equation(self, x: str = "x") -> str:
        return f"{x} + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.POSITION_EMBEDDING: "position_embedding, interpolated from the nearest four, is added to each patch"
        }

    def of(self, grids: Sequence[Grid], merge: int, at: At) -> torch.Tensor:
        """The vectors [N, width] of all patches of these images."""
        import torch

        table = self.table(at)
        side = isqrt(int(self.count))
        found = []
        for grid in grids:
            (rows, columns), sizes = places([grid], merge), grid[1:]
            above, down = self._between(rows, sizes[0], side)
            left, right = self._between(columns, sizes[1], side)
            total = table.new_zeros(len(rows), table.shape[1])
            for row, of_row in ((above, 1 - down), ((above + 1).clamp(max=side - 1), down)):
                for column, of_column in ((left, 1 - right), ((left + 1).clamp(max=side - 1), right)):
                    share = (of_row * of_column).to(table.dtype).to(table.device)
                    total += table[(row * side + column).to(table.device)] * share[:, None]
            found.append(total)
        return torch.cat(found)

    def table(self, at: At) -> torch.Tensor:
        """The vectors [count, width] of all places of the table, row by row."""
        return at.weights(self)[Role.POSITION_EMBEDDING]

    @staticmethod
    def _between(index: torch.Tensor, size: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each index on an axis of `size`: the place in the table before it, and how far it is beyond that."""
        exact = index.float() * (side - 1) / max(size - 1, 1)
        before = exact.floor()
        return before.long(), exact - before
