"""Pixels of each patch, made of its vector: what masked image modelling predicts (SimMIM, arXiv 2111.09886)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch


class PixelHead(EncoderHead, frozen=True, kw_only=True):
    """A convolution of 1 × 1, which is a matrix, from `width` to `stride` × `stride` pixels of each channel."""

    width: Size
    channels: Size
    stride: Size
    section: Section | None = Section.HEAD

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("", Role.OUTPUT_PROJ, bias=True),)

    def sizes(self) -> Sizes:
        one = Size(1)
        return {Role.OUTPUT_PROJ: (self.stride * self.stride * self.channels, self.width, one, one)}

    def children(self) -> Iterable[Component]:
        return ()

    @property
    def pools(self) -> bool:
        return False

    @property
    def word(self) -> str:
        return "reconstruction"

    def equation(self, x: str = "x") -> str:
        return f"output_proj·{x} + bias"

    def terms(self) -> Mapping[Role, str]:
        return {Role.OUTPUT_PROJ: f"{self.equation()}   {self.stride:,} × {self.stride:,} pixels of a patch"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width] to [N, channels · stride · stride], row by row of each channel."""
        import torch

        weights = at.weights(self)
        return torch.nn.functional.linear(x, weights[Role.OUTPUT_PROJ].flatten(1), weights[f"{Role.OUTPUT_PROJ}.bias"])
