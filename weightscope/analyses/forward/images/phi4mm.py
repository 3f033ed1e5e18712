"""Image files as Microsoft's own code of Phi-4-multimodal prepares them: as transformers does, but resized by Pillow.

Source: `Phi4MMImageProcessor` of microsoft/Phi-4-multimodal-instruct.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.images import phi4_multimodal
from weightscope.analyses.forward.images.decoding import resized
from weightscope.analyses.forward.images.got_ocr2 import Tiles
from weightscope.analyses.forward.images.phi4_multimodal import BILINEAR
from weightscope.analyses.forward.images.settings import Said

if TYPE_CHECKING:
    import numpy as np


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A preprocessor_config.json; its tiles have 448 pixels and its patches 14, whatever it says."""

    dynamic_hd: Tiles = 36


def read(paths: Sequence[Path], said: Said) -> dict[str, np.ndarray[Any, Any]]:
    """`input_image_embeds`, and with them what `phi4_multimodal.tiled` makes.

    Raises:
        UsageError: a file cannot be read as an image, or is too narrow.
        CheckpointError: the settings say nothing that can be done.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    settings = phi4_multimodal.Settings(dynamic_hd=said.as_kind(Settings).dynamic_hd)
    return phi4_multimodal.tiled(paths, settings, _by_pillow, "input_image_embeds")


def _by_pillow(image: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    return resized(image, height, width, BILINEAR)
