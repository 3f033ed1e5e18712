"""Vision transformers whose last norm acts on all vectors, with a pooler or classes (ViT, DINOv2, DINOv3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.headed import headed
from weightscope.components.vision.marked_patches import MASKED, MarkedPatches
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class NormedEncoder(VisionEncoder, frozen=True, kw_only=True):
    """`head` acts on the vectors of one image, of which some may be masked; `prepared_by` is the usual processor."""

    head: EncoderHead | None = None
    prepared_by: str = "ViTImageProcessor"

    @property
    def processor(self) -> str:
        return self.prepared_by

    @property
    def takes(self) -> tuple[str, ...]:
        patches = self.patches
        masked = isinstance(patches, MarkedPatches) and patches.mask is not None
        return (PIXELS, MASKED) if masked else (PIXELS,)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        patches = int(self.patches.side) ** 2
        if MASKED in inputs and inputs[MASKED].numel() != patches:
            raise UsageError(f"{MASKED} has shape {list(inputs[MASKED].shape)}: an image has {patches:,} patches")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, what the head gives, or the features [positions, width]."""
        (features,) = self.features(self.pixels(at.run.inputs), at, (-1,), normed=True)
        at = at.labelled("vision")
        if self.head is None:
            at.stage("pooled", "the class vector", features[:1])
            return features
        return headed(self.head, features, self.patches.without_class(features[None])[0], at)


class CentredEncoder(NormedEncoder, frozen=True, kw_only=True):
    """Patches turn by where their middle lies, from -1 to 1 of each side; class vector and registers do not turn."""

    def axes(self, images: int, device: torch.device) -> torch.Tensor | None:
        """2π · row and column of each vector of so many images, [2, images · vectors]."""
        import torch

        side = int(self.patches.side)
        middle = 2 * ((torch.arange(side) + 0.5) / side) - 1
        both = torch.stack([axis.flatten() for axis in torch.meshgrid(middle, middle, indexing="ij")])
        before = self._before()
        return torch.nn.functional.pad(2 * math.pi * both, (before, 0)).repeat(1, images).to(device)

    def _before(self) -> int:
        """How many vectors stand before the patches."""
        patches = self.patches
        return 1 + int((patches.registers or 0) if isinstance(patches, MarkedPatches) else 0)
