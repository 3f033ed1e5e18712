"""An eye for overlapping crops, whose patches are pooled window by window (Molmo 2, Ai2 2025)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At, Pass
from weightscope.components.sense import Layout, Seen, Token, whole_numbers
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.pooled_windows import PoolingBridge
from weightscope.components.vision.row_patches import RowEncoder
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

POOLING, GRIDS, CROPS = "image_token_pooling", "image_grids", "image_num_crops"
# Windows of one image: more than any processor makes.
MOST_WINDOWS = 1 << 16


class PooledEye(Eye, frozen=True, kw_only=True):
    """`image_token_pooling` [M, W] has the patches of each window among those of all crops, -1 for none.

    `image_grids` [images, 4] has rows and columns of windows of each whole image, then of its crops. The bridge gets
    what leaves the tower's `layers` side by side. A whole image begins with the token `low_start`, its crops with
    `start`, and both end with `end`.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, POOLING, GRIDS, CROPS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, POOLING, GRIDS)
    processor: ClassVar[str] = "Molmo2ImageProcessor"

    tower: RowEncoder
    bridge: PoolingBridge
    layers: tuple[int, ...]
    start: int
    low_start: int
    end: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        counts = tuple(low * wide + rows * columns for low, wide, rows, columns in self._grids(inputs))
        windows = self._windows(inputs)
        if len(windows) != sum(counts):
            raise UsageError(f"{POOLING} has {len(windows):,} windows, and {GRIDS} tells {sum(counts):,}")
        if CROPS in inputs:
            crops, many = whole_numbers(inputs, CROPS), len(inputs[PIXELS])
            if len(crops) != len(counts) or min(crops) < 1 or sum(crops) != many:
                raise UsageError(f"{CROPS} has {crops}, and {PIXELS} has {many:,} crops of {len(counts):,} images")
        return counts

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        crops, windows = self.tower.pixels(inputs), self._windows(inputs)
        features = torch.cat(self.tower.features(crops, at.below(self.tower), self.layers), dim=-1)
        windows = windows.to(features.device)
        return Seen(self.bridge.gather(features[windows.clamp(min=0)], windows >= 0, at.below(self.bridge)))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """The whole image, then its crops put together; a token stands behind each row."""
        self.counts(inputs)
        return [
            (
                *(Token(self.low_start), *(wide, "<im_col>") * low, Token(self.end)),
                *(Token(self.start), *(columns, "<im_col>") * rows, Token(self.end)),
            )
            for low, wide, rows, columns in self._grids(inputs)
        ]

    def _grids(self, inputs: Inputs) -> list[tuple[int, int, int, int]]:
        """What `image_grids` says of each image."""
        shape = list(inputs[GRIDS].shape)
        if len(shape) != 2 or shape[1] != 4 or not shape[0]:
            raise UsageError(f"{GRIDS} has shape {shape}, not [images, 4]")
        flat = iter(whole_numbers(inputs, GRIDS))
        found = list(zip(flat, flat, flat, flat, strict=True))
        for grid in found:
            if min(grid) < 0 or max(grid) > MOST_WINDOWS or grid[0] * grid[1] + grid[2] * grid[3] > MOST_WINDOWS:
                raise UsageError(f"{GRIDS} has {list(grid)}: an image has 1 to {MOST_WINDOWS:,} windows")
        return found

    def _windows(self, inputs: Inputs) -> torch.Tensor:
        """The patches of each window [M, W], held against the crops."""
        windows, patches = inputs[POOLING], len(self.tower.pixels(inputs)) * int(self.tower.patches.count)
        whole_numbers(inputs, POOLING)
        if windows.ndim != 2 or not windows.numel():
            raise UsageError(f"{POOLING} has shape {list(windows.shape)}, not [windows, patches of one]")
        if int(windows.min()) < -1 or int(windows.max()) >= patches:
            raise UsageError(f"{POOLING} names a patch that is none of the {patches:,} of {PIXELS}")
        if bool((windows < 0).all(dim=1).any()):
            raise UsageError(f"{POOLING} has a window without a patch")
        return windows


class AddedLanguage(VisionLanguage, frozen=True, kw_only=True):
    """Images' vectors are added to what is looked up at their tokens; all tokens that write images see each other.

    Those are the image tokens and, from a token in `begins` to the next in `ends`, all others.
    """

    begins: tuple[int, ...]
    ends: tuple[int, ...]

    def standing(self, looked_up: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return looked_up + vectors

    def joined(self, run: Pass, tokens: torch.Tensor) -> Pass:
        import torch

        writes = writing(tokens.tolist(), self.image_token, self.begins, self.ends)
        together = torch.where(torch.tensor(writes, device=tokens.device), 0, -1)
        return replace(run, together=together, whole="everywhere")


def writing(tokens: Sequence[int], mark: int, begins: Collection[int], ends: Collection[int]) -> list[bool]:
    """Which tokens write images: `mark`, and all from one in `begins` to the next in `ends`."""
    within, found = False, []
    for token in tokens:
        within = within or token in begins
        found.append(within or token == mark)
        within = within and token not in ends
    return found
