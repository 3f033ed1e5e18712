"""An eye without a tower: one matrix makes the vectors of an image's patches (Fuyu)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen
from weightscope.components.vision.eye import Eye
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch

HEIGHTS, WIDTHS = "image_unpadded_heights", "image_unpadded_widths"
MOST_SIDE = 1 << 20
# What the processor writes after each row of an image's tokens, and after all of them.
ROW_END, IMAGE_END = "|NEWLINE|", "<s>"


class PatchMatrix(Projection, frozen=True, kw_only=True):
    """It is all that there is between pixels and the language model."""

    section: Section | None = Section.PROJECTOR


class BareEye(Eye, frozen=True, kw_only=True):
    """Patches are `patch` pixels wide; heights and widths in pixels tell how they are written among the tokens."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, HEIGHTS, WIDTHS)
    needs: ClassVar[tuple[str, ...]] = (PIXELS,)
    beside: ClassVar[tuple[str, ...]] = (HEIGHTS, WIDTHS)
    processor: ClassVar[str] = "FuyuImageProcessor"

    matrix: PatchMatrix
    patch: int

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        patches = len(self._patches(inputs))
        if HEIGHTS not in inputs or WIDTHS not in inputs:
            return (patches,)
        counts = tuple(rows * columns for rows, columns in self._grids(inputs))
        if sum(counts) != patches:
            raise UsageError(
                f"{PIXELS} has {patches:,} patches, and {HEIGHTS} and {WIDTHS} tell {', '.join(map(str, counts))}"
            )
        return counts

    def see(self, inputs: Inputs, at: At) -> Seen:
        vectors = at.call(self.matrix, self._patches(inputs))
        at.labelled("projector").stage("patches", self.matrix.equation("patch"), vectors)
        return Seen(vectors)

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        self.counts(inputs)
        if HEIGHTS not in inputs or WIDTHS not in inputs:
            return super().layouts(inputs)
        return [(*(columns, ROW_END) * rows, IMAGE_END) for rows, columns in self._grids(inputs)]

    def _grids(self, inputs: Inputs) -> list[tuple[int, int]]:
        heights, widths = inputs[HEIGHTS].flatten().tolist(), inputs[WIDTHS].flatten().tolist()
        if len(heights) != len(widths) or not heights:
            raise UsageError(f"{HEIGHTS} has {len(heights):,} images, and {WIDTHS} has {len(widths):,}")
        if min(heights + widths) < 1 or max(heights + widths) > MOST_SIDE:
            raise UsageError(f"{HEIGHTS} and {WIDTHS}: a side has 1 to {MOST_SIDE:,} pixels")
        return [
            (-(-int(high) // self.patch), -(-int(wide) // self.patch))
            for high, wide in zip(heights, widths, strict=True)
        ]

    def _patches(self, inputs: Inputs) -> torch.Tensor:
        """The patches [N, values] of all images."""
        pixels = inputs[PIXELS]
        pixels = pixels.flatten(0, 1) if pixels.ndim == 3 else pixels
        values = int(self.matrix.inputs)
        if pixels.ndim != 2 or pixels.shape[1] != values or not len(pixels):
            raise UsageError(f"{PIXELS} has shape {list(inputs[PIXELS].shape)}, not [patches, {values:,}]")
        return pixels
