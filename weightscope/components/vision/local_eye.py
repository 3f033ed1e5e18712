"""An eye for a whole image of one size, and windows cut from it of another (Step 3.7, StepFun 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, Seen, whole_numbers
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.sam_eye import HalvingBridge
from weightscope.components.vision.stretched_encoder import StretchedEncoder
from weightscope.errors import NotImplementedByWeightscope, UsageError

if TYPE_CHECKING:
    import torch

LOCAL, COUNTS, NEWLINES = "pixel_values_local", "num_local_patches", "patch_newline_masks"
MOST_SIDE = 1 << 13


class LocalEye(Eye, frozen=True, kw_only=True):
    """`pixel_values_local` has the windows of all images, `num_local_patches` how many each has: none without it.

    The vectors of an image's windows come before those of the whole. `patch_newline_masks` [images, windows] says after
    which of them a row ends.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, LOCAL, COUNTS, NEWLINES)
    beside: ClassVar[tuple[str, ...]] = (NEWLINES,)
    processor: ClassVar[str] = "Step3p7ImageProcessor"

    tower: StretchedEncoder
    bridge: HalvingBridge

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        whole = self._each(inputs, PIXELS)
        local = self._each(inputs, LOCAL) if LOCAL in inputs else 0
        return tuple(whole + local * windows for windows in self._windows(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        whole = self._seen(inputs[PIXELS], at)
        if LOCAL not in inputs:
            return Seen(whole.flatten(0, 1))
        local = torch.split(self._seen(inputs[LOCAL], at), self._windows(inputs))
        pairs = zip(local, whole, strict=True)
        return Seen(torch.cat([part for windows, image in pairs for part in (windows.flatten(0, 1), image)]))

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """Each window between two tokens, a token after each row of them but the last, then the whole image."""
        whole, windows = self._each(inputs, PIXELS), self._windows(inputs)
        local = self._each(inputs, LOCAL) if any(windows) else 0
        masks = self._newlines(inputs, windows)
        return [
            (
                *(
                    piece
                    for ends in mask
                    for piece in ("<patch_start>", local, f"<patch_end>{'<patch_newline>' * ends}")
                ),
                *("<im_start>", whole, "<im_end>"),
            )
            for mask in masks
        ]

    def _seen(self, pixels: torch.Tensor, at: At) -> torch.Tensor:
        """The vectors [images, each, width of the language model] of images of one size."""
        tower = self.tower.sized(pixels.shape[-1])
        (features,) = tower.features(pixels, at.below(tower), (-1,))
        side = int(tower.patches.side)
        maps = features.view(len(pixels), side, side, -1).permute(0, 3, 1, 2)
        return at.call(self.bridge, maps).unflatten(0, (len(pixels), -1))  # type: ignore[no-untyped-call, no-any-return]

    def _each(self, inputs: Inputs, name: str) -> int:
        """How many vectors each image under that name becomes."""
        pixels, channels, patch = inputs[name], int(self.tower.patches.channels), int(self.tower.patches.patch)
        shape = list(pixels.shape)
        if pixels.ndim != 4 or shape[1] != channels or not shape[0] or shape[2] != shape[3]:
            raise UsageError(f"{name} has shape {shape}, not [images, {channels}, side, side]")
        if not patch <= shape[3] <= MOST_SIDE or shape[3] % patch:
            raise UsageError(f"{name} has shape {shape}: a side is a multiple of {patch}, up to {MOST_SIDE:,}")
        return int(self.bridge.side(shape[3] // patch) ** 2)

    def _windows(self, inputs: Inputs) -> list[int]:
        """How many windows each image has."""
        images = len(inputs[PIXELS])
        if (LOCAL in inputs) != (COUNTS in inputs and any(whole_numbers(inputs, COUNTS))):
            raise UsageError(f"{LOCAL} and {COUNTS} go together")
        windows = whole_numbers(inputs, COUNTS) if COUNTS in inputs else [0] * images
        there = len(inputs[LOCAL]) if LOCAL in inputs else 0
        if len(windows) != images or min(windows) < 0 or sum(windows) != there:
            raise UsageError(f"{COUNTS} has {windows}, and there are {images:,} images and {there:,} windows")
        return windows

    def _newlines(self, inputs: Inputs, windows: Sequence[int]) -> list[list[bool]]:
        """After which windows of each image a row ends."""
        if not any(windows):
            return [[] for _ in windows]
        if NEWLINES not in inputs:
            raise NotImplementedByWeightscope(
                f"how a prompt of Step 3.7 writes its images is not implemented without {NEWLINES}",
                hint="give the processor's input_ids as --tokens",
            )
        mask = inputs[NEWLINES]
        if mask.ndim != 2 or len(mask) != len(windows) or mask.shape[1] < max(windows):
            raise UsageError(f"{NEWLINES} has shape {list(mask.shape)}, not [{len(windows)}, {max(windows)}]")
        return [[bool(end) for end in row[:count].tolist()] for row, count in zip(mask, windows, strict=True)]
