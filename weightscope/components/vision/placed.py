"""An eye for images of any size, each patch with its column and row: Gemma 4 (Google 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, between
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.placed_patches import MergedPatches
from weightscope.components.vision.placed_tower import PlacedTower
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

PLACES = "image_position_ids"
# Of one image: more than any processor makes.
MOST_PATCHES = 1 << 17


class PlacedEye(Eye, frozen=True, kw_only=True):
    """`begin` and `end` are the tokens around an image, None for none.

    Its processor also counts the vectors of each image, `num_soft_tokens_per_image`, which the model does not use.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, PLACES, "num_soft_tokens_per_image")
    needs: ClassVar[tuple[str, ...]] = (PIXELS, PLACES)
    beside: ClassVar[tuple[str, ...]] = ("num_soft_tokens_per_image",)

    tower: PlacedTower | MergedPatches
    bridge: Component
    begin: int | None
    end: int | None

    @property
    def processor(self) -> str:  # type: ignore[override]
        """The tower's."""
        return self.tower.processor

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(len(places) // self.tower.square**2 for places in self._places(inputs))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [between(self.begin, count, self.end) for count in self.counts(inputs)]

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        places = self._places(inputs)
        patches = torch.cat([image[: len(there)] for image, there in zip(inputs[PIXELS], places, strict=True)])
        features = self.tower.see(patches, places, at.below(self.tower))
        return Seen(at.call(self.bridge, features))

    def _places(self, inputs: Inputs) -> list[torch.Tensor]:
        """Of each image the column and row [patches, 2] of its patches, without what only fills up.

        Raises:
            UsageError: arrays of shapes that do not fit each other or the tower; places that are no grid.
        """
        pixels, places = inputs[PIXELS], inputs[PLACES]
        values = self.tower.values
        if pixels.ndim != 3 or pixels.shape[2] != values or not len(pixels) > 0 or pixels.shape[1] > MOST_PATCHES:
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [images, patches, {values:,}]")
        if tuple(places.shape) != (*pixels.shape[:2], 2):
            raise UsageError(
                f"{PLACES} has shape {list(places.shape)}, but {PIXELS} of shape {list(pixels.shape)} needs"
                f" {[*pixels.shape[:2], 2]}"
            )
        return [self._grid(image.long()) for image in places]

    def _grid(self, places: torch.Tensor) -> torch.Tensor:
        import torch

        real = int((places != -1).all(dim=-1).sum())
        there, square, rows = places[:real], self.tower.square, int(self.tower.rows)
        width, height = (int(side) + 1 for side in there.amax(dim=0)) if real else (0, 0)
        whole = 0 < width * height == real
        if whole:
            down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            whole = torch.equal(there.cpu(), torch.stack((across, down), dim=-1).flatten(0, 1))
        if not whole or width % square or height % square or max(width, height) > rows:
            raise UsageError(
                f"{PLACES} of an image are no grid of patches: columns and rows row by row, multiples of {square} and"
                f" at most {rows:,} of each, then -1"
            )
        return there
