"""A picture resized as torchvision resizes it, for processors that transformers has with torchvision alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# By Pillow's numbers.
FILTERS = {2: "bilinear", 3: "bicubic"}


def check_filter(resample: int) -> None:
    """Raise a ValueError if it is no key of FILTERS."""
    if resample not in FILTERS:
        raise ValueError(f"a resample of {resample}, which is not implemented")


def interpolated(image: torch.Tensor, height: int, width: int, resample: int, *, antialias: bool) -> torch.Tensor:
    """The image [3, h, w], uint8 or float32, in another size; `resample` is a key of FILTERS."""
    import torch

    if image.shape[1:] == (height, width):
        return image
    resize = torch.nn.functional.interpolate
    return resize(image[None], size=(height, width), mode=FILTERS[resample], antialias=antialias)[0]
