"""Patches that come row by row, as pictures of their own, and are put square by square (PaddleOCR-VL)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen
from weightscope.components.vision.grid_eye import GRIDS, GridEye
from weightscope.components.vision.grids import Grid, places
from weightscope.components.vision.patches import PatchProjection, StretchedPositions
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch


class PlanePatches(PatchProjection, frozen=True, kw_only=True):
    """A convolution over pictures, not films."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("patch_embedding", Role.PATCH_EMBEDDING, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(width, channels, patch, patch), as `torch.nn.Conv2d` has it."""
        return {Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch)}


class CentredPositions(StretchedPositions, frozen=True, kw_only=True):
    """The middle of each patch is looked up in the table, as at its edges where that lies beyond them."""

    @staticmethod
    def _between(index: torch.Tensor, size: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        exact = ((index.float() + 0.5) * side / size - 0.5).clamp(0, side - 1)
        before = exact.floor()
        return before.long(), exact - before


class RasterEye(GridEye, frozen=True, kw_only=True):
    """`pixel_values` are [patches, channels, patch, patch], row by row."""

    processor: ClassVar[str] = "PaddleOCRVLImageProcessor"

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return super().counts({**inputs, PIXELS: self._flat(inputs[PIXELS])})

    def see(self, inputs: Inputs, at: At) -> Seen:
        order = squares([(int(t), int(h), int(w)) for t, h, w in inputs[GRIDS].tolist()], self.tower.merge)
        pixels = self._flat(inputs[PIXELS])
        return super().see({**inputs, PIXELS: pixels[order.to(pixels.device)]}, at)

    def _flat(self, pixels: torch.Tensor) -> torch.Tensor:
        """Each patch's values in a row.

        Raises:
            UsageError: they are no patches.
        """
        patches = self.tower.patches
        wanted = (int(patches.channels), int(patches.patch), int(patches.patch))
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != wanted:
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [patches, {', '.join(map(str, wanted))}]")
        return pixels.flatten(1)


def squares(grids: Sequence[Grid], merge: int) -> torch.Tensor:
    """Of patches that lie row by row, the order [N] that puts them square by square."""
    import torch

    found: list[torch.Tensor] = []
    first = 0
    for count, height, width in grids:
        rows, columns = places([(1, height, width)], merge)
        within = rows * width + columns
        found += [within + first + frame * height * width for frame in range(count)]
        first += count * height * width
    return torch.cat(found)
