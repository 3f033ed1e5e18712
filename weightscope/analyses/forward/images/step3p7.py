"""A picture in one size, and windows of it in another, row by row (Step 3.7, StepFun 2026).

Source: `Step3p7ImageProcessor` of transformers, which only torchvision computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from weightscope.analyses.forward.images.decoding import MAX_INPUT_PIXELS, as_it_is
from weightscope.analyses.forward.images.interpolated import check_filter, interpolated
from weightscope.analyses.forward.images.settings import Resample, Said, Scaling, Side, Sides

if TYPE_CHECKING:
    import numpy as np
    import torch

# Of one picture.
MOST_WINDOWS = 1024


class Plan(NamedTuple):
    """The size of the picture before it is made square, that of what is cut into windows, and the side of these.

    A side of 0 is no windows; a `padded` picture is first made square with black.
    """

    whole: tuple[int, int]
    cut: tuple[int, int]
    window: int
    padded: bool


class Settings(Scaling, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes. `patch_size` is the side of windows."""

    size: Sides = Sides(height=728, width=728)
    resample: Resample = 2
    patch_size: Side = 504
    max_image_size: Side = 3024

    def checked(self) -> int:
        """The side of a picture in pixels.

        Raises:
            ValueError: the settings are none with which the class makes pictures.
        """
        check_filter(self.resample)
        side = self.size.square()
        if side * side > MAX_INPUT_PIXELS or self.patch_size**2 > MAX_INPUT_PIXELS:
            raise ValueError(f"pictures of {side:,} × {side:,} pixels, and windows of {self.patch_size:,}")
        return side

    def plan(self, height: int, width: int) -> Plan:
        """How a picture of that size is cut.

        Long ones are cut where they are no larger than a picture, too, by their shorter side.
        """
        padded = min(width, height) < 32 and max(width / height, height / width) > 4
        if padded:
            height = width = max(height, width)
        longest = max(height, width)
        if longest > self.max_image_size:
            scale = self.max_image_size / longest
            height, width = int(height * scale), int(width * scale)
        short, long = sorted((height, width))
        if long <= self.size.square():
            window = short if long / short > 1.5 else 0
        else:
            window = min(short, self.patch_size) if long / short > 4 else self.patch_size
        cut = tuple(_snapped(side, window) for side in (height, width)) if window else (height, width)
        return Plan((height, width), (cut[0], cut[1]), window, padded)


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` [images, 3, side, side], float32, and `num_local_patches` [images].

    Where there are windows, also `pixel_values_local` [windows, 3, patch_size, patch_size] of all images, and
    `patch_newline_masks` [images, the most windows]: after which of them a row ends that is not the last.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    import numpy as np

    settings = said.as_kind(Settings)
    settings.checked()
    whole, windows, masks = [], [], []
    for path in paths:
        picture, parts, mask = _cut(path, settings)
        whole.append(picture)
        windows += parts
        masks.append(mask)
    found = {"pixel_values": np.stack(whole), "num_local_patches": np.array([len(mask) for mask in masks], np.int64)}
    if not windows:
        return found
    newlines = np.zeros((len(masks), max(map(len, masks))), np.int64)
    for row, mask in zip(newlines, masks, strict=True):
        row[: len(mask)] = mask
    return found | {"pixel_values_local": np.stack(windows), "patch_newline_masks": newlines}


def _cut(path: Path, settings: Settings) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]], list[bool]]:
    """The whole picture, its windows, and after which of them a row ends."""
    import torch

    image, side = torch.from_numpy(as_it_is(path).copy()).permute(2, 0, 1), settings.size.square()
    height, width = image.shape[1:]
    plan, way, patch = settings.plan(height, width), settings.resample, settings.patch_size
    _bounded(plan, patch)
    if plan.padded:
        longest = max(height, width)
        image = torch.nn.functional.pad(image, (0, longest - width, 0, longest - height))
    first = interpolated(image, *plan.whole, way, antialias=True)
    picture = _scaled(interpolated(first, side, side, way, antialias=True), settings)
    if not plan.window:
        return picture, [], []
    step, large = plan.window, interpolated(image, *plan.cut, way, antialias=True)
    parts, mask = [], []
    tall, wide = large.shape[1:]
    for top in range(0, tall, step):
        for left in range(0, wide, step):
            part = large[:, top : top + step, left : left + step]
            parts.append(_scaled(interpolated(part, patch, patch, way, antialias=True), settings))
            mask.append(left + step >= wide and top + step < tall)
    return picture, parts, mask


def _snapped(length: int, window: int) -> int:
    """A multiple of the window's side, one more where more than a fifth of it is left over; shorter ones stay."""
    if length < window:
        return length
    return window * (length // window + (length % window > 0.2 * window))


def _bounded(plan: Plan, patch: int) -> None:
    """Raise a ValueError where there are more pixels than a model takes."""
    step = plan.window
    count = (-(-plan.cut[0] // step)) * (-(-plan.cut[1] // step)) if step else 0
    most = max(plan.whole[0] * plan.whole[1], plan.cut[0] * plan.cut[1])
    if count > MOST_WINDOWS or count * patch**2 > 4 * MAX_INPUT_PIXELS or most > 4 * MAX_INPUT_PIXELS:
        raise ValueError(f"an image cut into {count:,} windows, which become {patch:,} × {patch:,} pixels each")


def _scaled(image: torch.Tensor, settings: Settings) -> np.ndarray[Any, Any]:
    import numpy as np

    pixels: np.ndarray[Any, Any] = image.contiguous().numpy().astype(np.float32)
    settings.scale(pixels)
    return pixels
