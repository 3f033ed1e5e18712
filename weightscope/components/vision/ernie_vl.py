"""ERNIE 4.5 VL (Baidu 2025): some of a language model's experts are for tokens of images, and those around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.feed_forward.image_experts import IMAGE_TOKENS
from weightscope.components.running import Pass
from weightscope.components.vision.grid_eye import StillEye
from weightscope.components.vision.language import VisionLanguage

if TYPE_CHECKING:
    import torch


class ExpertEye(StillEye, frozen=True, kw_only=True):
    """Images as Qwen2-VL has them, of one frame each."""

    processor: ClassVar[str] = "Ernie4_5_VLMoeImageProcessor"


class ExpertLanguage(VisionLanguage, frozen=True, kw_only=True):
    """The tokens `around` an image count as its own, but only where there is an image."""

    def joined(self, run: Pass, tokens: torch.Tensor) -> Pass:
        import torch

        own = torch.tensor([self.image_token, *(token for side in self.around for token in side)], device=tokens.device)
        run.shared[IMAGE_TOKENS] = torch.isin(tokens, own)
        return super().joined(run, tokens)
