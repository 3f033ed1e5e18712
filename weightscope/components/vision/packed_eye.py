"""Eyes over a packed tower: squares of neighbouring patches become one vector (Mistral Small 3.1, Kimi-VL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.grids import Grid, by_squares
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.components.vision.padded import IMAGE_SIZES, MOST_PATCHES, cut, grids_of
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class PackedEye(Eye, frozen=True, kw_only=True):
    """The bridge gets the features of `layers` side by side, in squares of `merge` × `merge` patches.

    Rows and columns that fill no square are left out.
    """

    tower: PackedTower
    bridge: Component
    merge: int = 1
    layers: tuple[int, ...] = (-1,)

    def grids(self, inputs: Inputs) -> list[Grid]:
        """Rows and columns of patches of each image.

        Raises:
            UsageError: the arrays' shapes do not fit.
        """
        raise NotImplementedError

    def cut(self, inputs: Inputs) -> torch.Tensor:
        """The patches [N, values] of all images, row by row."""
        raise NotImplementedError

    def squares(self, inputs: Inputs) -> list[tuple[int, int]]:
        """Rows and columns of squares of each image."""
        return [(height // self.merge, width // self.merge) for _, height, width in self.grids(inputs)]

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(rows * columns for rows, columns in self.squares(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        grids = self.grids(inputs)
        features = torch.cat(self.tower.features(self.cut(inputs), grids, at.below(self.tower), self.layers), dim=-1)
        if self.merge > 1:
            features = features[by_squares(grids, self.merge).to(features.device)]
        return Seen(at.call(self.bridge, features))


class PaddedEye(PackedEye, frozen=True, kw_only=True):
    """Images of several sizes padded to one; a token stands after each row of an image, another after its last."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, IMAGE_SIZES)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, IMAGE_SIZES)
    processor: ClassVar[str] = "PixtralImageProcessor"

    def grids(self, inputs: Inputs) -> list[Grid]:
        return grids_of(inputs, self.tower.patches)

    def cut(self, inputs: Inputs) -> torch.Tensor:
        return cut(inputs, self.tower.patches)[0]

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """A row's image tokens, then [IMG_BREAK], or after the last row [IMG_END]."""
        return [
            tuple(
                piece for row in range(rows) for piece in (columns, "[IMG_END]" if row == rows - 1 else "[IMG_BREAK]")
            )
            for rows, columns in self.squares(inputs)
        ]


class RowlessEye(PaddedEye, frozen=True, kw_only=True):
    """The same without tokens between the rows (LightOnOCR)."""

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [(count,) for count in self.counts(inputs)]


class PatchEye(PackedEye, frozen=True, kw_only=True):
    """Images cut into patches [N, channels, patch, patch], beside each one's grid (Kimi K2.5)."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, "image_grid_thw")
    needs: ClassVar[tuple[str, ...]] = (PIXELS, "image_grid_thw")
    processor: ClassVar[str] = "Kimi_K25ImageProcessor"

    def grids(self, inputs: Inputs) -> list[Grid]:
        name = self.takes[1]
        given, patches, columns = inputs[name], self.tower.patches, 3 if name.endswith("thw") else 2
        if given.ndim != 2 or given.shape[1] != columns or not len(given):
            raise UsageError(f"{name} has shape {list(given.shape)}, not [images, {columns}]")
        rows: list[list[int]] = given.tolist()
        for grid in rows:
            *frames, height, width = grid
            if any(count != 1 for count in frames):
                raise UsageError(f"{name} has {grid}: an image has one frame, and videos are not implemented")
            if height < self.merge or width < self.merge or height * width > MOST_PATCHES:
                raise UsageError(f"{name} has {grid}: an image has 1 to {MOST_PATCHES:,} patches")
            if height % self.merge or width % self.merge:
                raise UsageError(f"{name} has {grid}: height and width are multiples of {self.merge}")
        patch = int(patches.patch)
        wanted = [sum(height * width for *_, height, width in rows), int(patches.channels), patch, patch]
        if list(inputs[PIXELS].shape) != wanted:
            raise UsageError(f"{PIXELS} has shape {list(inputs[PIXELS].shape)}, and {name} tells {wanted}")
        return [(1, height, width) for *_, height, width in rows]

    def cut(self, inputs: Inputs) -> torch.Tensor:
        return inputs[PIXELS].flatten(1)


class FlatPatchEye(PatchEye, frozen=True, kw_only=True):
    """The same with grids of two numbers (Kimi-VL)."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, "image_grid_hws")
    needs: ClassVar[tuple[str, ...]] = (PIXELS, "image_grid_hws")
    processor: ClassVar[str] = "KimiVLImageProcessor"
