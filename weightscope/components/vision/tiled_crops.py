"""An eye for images as a small whole and tiles, each a crop, and a projector that averages (Perception-LM).

Source: `PerceptionLMModel` of transformers; arXiv 2504.13180.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.sense import Layout, whole_numbers
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.projector import Projector
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

TILES = "num_tiles"


class AveragingProjector(Projector, frozen=True, kw_only=True):
    """What the matrices make of the `side` × `side` patches of a crop becomes `pooled` × `pooled` means."""

    side: int
    pooled: int

    def equation(self, x: str = "x") -> str:
        return f"means of {self.side} × {self.side} to {self.pooled} × {self.pooled} of {super().equation(x)}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [crops · side², width of the tower] to [crops · pooled², width of the language model]."""
        import torch

        made = super().forward(x, at)
        crops = made.unflatten(0, (-1, self.side, self.side)).movedim(-1, 1)  # type: ignore[no-untyped-call]
        means = torch.nn.functional.adaptive_avg_pool2d(crops, self.pooled).flatten(2).transpose(1, 2).flatten(0, 1)
        at.stage("pooling", self.equation(), means)
        return means


class TiledCropEye(CropEye, frozen=True, kw_only=True):
    """Pixels are [images, tiles, …]; where images have different numbers of tiles, `num_tiles` says how many each."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, TILES)
    beside: ClassVar[tuple[str, ...]] = (TILES,)
    processor: ClassVar[str] = "PerceptionLMImageProcessor"

    def crops(self, inputs: Inputs) -> torch.Tensor:
        pixels = inputs[PIXELS]
        return super().crops({**inputs, PIXELS: pixels.flatten(0, 1) if pixels.ndim == 5 else pixels})

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """All tiles of an image in one row."""
        pixels, many = inputs[PIXELS], len(self.crops(inputs))
        images = len(pixels) if pixels.ndim == 5 else many
        numbers = whole_numbers(inputs, TILES) if TILES in inputs else [many // images] * images
        if sum(numbers) != many or min(numbers) < 1:
            raise UsageError(f"{TILES} tells another number of tiles than the {many:,} of {PIXELS}")
        return [(self.each * number,) for number in numbers]
