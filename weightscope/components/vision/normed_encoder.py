"""Vision transformers whose last norm acts on all vectors, with a pooler or classes (ViT, DINOv2, DINOv3)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.running import At
from weightscope.components.vision.encoder import VisionEncoder

if TYPE_CHECKING:
    import torch


class NormedEncoder(VisionEncoder, frozen=True, kw_only=True):
    """`head` acts on the class vector, beside it with `means` the mean of the patches (DINOv2)."""

    head: EncoderHead | None = None
    means: bool = False

    @property
    def processor(self) -> str:
        return "ViTImageProcessor"

    def children(self) -> Iterable[Component]:
        return (*super().children(), *((self.head,) if self.head else ()))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the scores of its classes [1, labels], or the features [positions, width]."""
        import torch

        (features,) = self.features(self.pixels(at.run.inputs), at, (-1,), normed=True)
        at, first = at.labelled("vision"), features[:1]
        if self.means:
            first = torch.cat((first, self.patches.without_class(features[None]).mean(dim=1)), dim=-1)
        if self.head is None:
            at.stage("pooled", "the class vector", features[:1])
            return features
        made = at.call(self.head, first)
        at.stage(self.head.word, self.head.equation("class vector"), made)
        return made if self.head.out else features


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
        from weightscope.components.vision.marked_patches import MarkedPatches

        patches = self.patches
        return 1 + int((patches.registers or 0) if isinstance(patches, MarkedPatches) else 0)
