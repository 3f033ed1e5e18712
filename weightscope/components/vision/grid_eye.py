"""An eye for images of any size: their tokens have positions in time, height and width (Qwen2-VL, arXiv 2409.12191)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.grids import Grid, token_positions
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

GRIDS = "image_grid_thw"
# Of one image: 16,384 merged patches are more than any processor makes.
MOST_PATCHES = 1 << 20


class GridEye(Eye, frozen=True, kw_only=True):
    """`tower` makes a vector of each `merge` × `merge` patches."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, GRIDS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, GRIDS)
    processor: ClassVar[str] = "Qwen2VLImageProcessor"

    tower: GridTower

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        grids = _grids(inputs[GRIDS], self.tower.merge)
        patches = [count * height * width for count, height, width in grids]
        wanted = (sum(patches), self.tower.patches.pixels)
        if tuple(inputs[PIXELS].shape) != wanted:
            raise UsageError(f"{PIXELS} has shape {list(inputs[PIXELS].shape)}, and {GRIDS} tells {list(wanted)}")
        return tuple(count // self.tower.merge**2 for count in patches)

    def positions(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """[3, T]."""
        return token_positions(tokens, mark, _grids(inputs[GRIDS], self.tower.merge), self.tower.merge)

    def see(self, inputs: Inputs, at: At) -> Seen:
        grids = _grids(inputs[GRIDS], self.tower.merge)
        vectors, deep = self.tower.see(inputs[PIXELS], grids, at.below(self.tower))
        return Seen(vectors, tuple(deep))


class StillEye(GridEye, frozen=True, kw_only=True):
    """Images have one frame."""

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        found = super().counts(inputs)
        if bool((inputs[GRIDS][:, 0] != 1).any()):
            told = inputs[GRIDS].tolist()
            raise UsageError(f"{GRIDS} has several frames, {told}: an image has 1 frame; videos are not implemented")
        return found


class CountingEye(StillEye, frozen=True, kw_only=True):
    """Positions count on through an image (EXAONE 4.5)."""

    def positions(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """[T]."""
        return Eye.positions(self, tokens, mark, inputs)


class EnclosedEye(CountingEye, frozen=True, kw_only=True):
    """Images stand between the texts `begin` and `end` (MiniMax-M3)."""

    processor: ClassVar[str] = "MiniMaxM3VLImageProcessor"

    begin: str
    end: str

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        return [(self.begin, count, self.end) for count in self.counts(inputs)]


def _grids(grids: torch.Tensor, merge: int) -> list[Grid]:
    """The grids as numbers.

    Raises:
        UsageError: they are no grids, or an image is no multiple of what is merged.
    """
    if grids.ndim != 2 or grids.shape[1] != 3 or not len(grids):
        raise UsageError(f"{GRIDS} has shape {list(grids.shape)}, not [images, 3]")
    found: list[Grid] = [(int(t), int(h), int(w)) for t, h, w in grids.tolist()]
    for grid in found:
        count, height, width = grid
        if min(grid) < 1 or count * height * width > MOST_PATCHES:
            raise UsageError(f"{GRIDS} has {list(grid)}: an image has 1 to {MOST_PATCHES:,} patches")
        if height % merge or width % merge:
            raise UsageError(f"{GRIDS} has {list(grid)}: height and width are multiples of {merge}")
    return found
