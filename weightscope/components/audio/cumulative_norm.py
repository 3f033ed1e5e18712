"""A norm over all that has been heard so far (Gemma 3n)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class CumulativeNorm(Component, frozen=True, kw_only=True):
    """(x − mean) / std · w, mean and variance taken over all numbers of a frame and of those before it.

    A frame adds its squared distances from its own mean to the variance, as transformers has it.
    """

    name: str
    channels: Size
    eps: float
    word: ClassVar[str] = "cumulative_norm"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("", Role.NORM),)

    def sizes(self) -> Sizes:
        return {Role.NORM: (self.channels,)}

    def equation(self, x: str = "x") -> str:
        return f"({x} − mean of the frames so far) / their std · norm"

    def terms(self) -> Mapping[Role, str]:
        return {Role.NORM: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[frames, frequencies, channels], in float32."""
        import torch

        wide = x.float() if x.dtype is not torch.float64 else x
        counts = torch.arange(1, len(x) + 1, device=x.device) * (x.shape[1] * x.shape[2])
        mean = wide.sum((1, 2)).cumsum(0) / counts
        away = wide - mean[:, None, None]
        variance = away.square().sum((1, 2)).cumsum(0) / counts
        scaled = away * torch.rsqrt(variance + self.eps)[:, None, None]
        return scaled.to(x.dtype) * at.weights(self)[Role.NORM]
