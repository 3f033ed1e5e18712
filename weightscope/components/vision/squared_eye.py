"""An eye for images that are padded to a square (DeepSeek-VL, arXiv 2403.05525)."""

from __future__ import annotations

from typing import ClassVar

from weightscope.components.vision.crops import CropEye


class SquaredEye(CropEye, frozen=True, kw_only=True):
    """One crop an image."""

    processor: ClassVar[str] = "DeepseekVLImageProcessor"
