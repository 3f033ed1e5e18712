"""Image files as squares of two sizes, the small one made of the large (DeepSeek-VL, arXiv 2403.05525).

Source: `DeepseekVLHybridImageProcessor` of transformers, in its Pillow flavour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images import deepseek_vl
from weightscope.analyses.forward.images.decoding import as_it_is
from weightscope.analyses.forward.images.settings import Deviation, Level, Resample, Said, Sides

if TYPE_CHECKING:
    import numpy as np


class Settings(deepseek_vl.Settings, frozen=True, kw_only=True):
    """A preprocessor_config.json; where it says nothing, what the class takes."""

    high_res_size: Sides = Sides(height=1024, width=1024)
    high_res_resample: Resample = 3
    high_res_image_mean: tuple[Level, Level, Level] = (0.48145466, 0.4578275, 0.40821073)
    high_res_image_std: tuple[Deviation, Deviation, Deviation] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def large(self) -> deepseek_vl.Settings:
        """Those of the large image."""
        return deepseek_vl.Settings(
            do_resize=self.do_resize,
            do_pad=self.do_pad and self.do_resize,
            size=self.high_res_size,
            min_size=self.min_size,
            resample=self.high_res_resample,
            do_rescale=self.do_rescale,
            rescale_factor=self.rescale_factor,
            do_normalize=self.do_normalize,
            image_mean=self.high_res_image_mean,
            image_std=self.high_res_image_std,
        )


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`pixel_values` and `high_res_pixel_values`, float32 [images, 3, side, side] each.

    Raises:
        UsageError: a file cannot be read as an image.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = said.as_kind(Settings)
    large = settings.large
    wide = [deepseek_vl.squared(as_it_is(path), large) for path in paths]
    small = [deepseek_vl.squared(image, settings) if settings.do_resize else image for image in wide]
    return {
        "pixel_values": deepseek_vl.stacked(small, settings),
        "high_res_pixel_values": deepseek_vl.stacked(wide, large),
    }
