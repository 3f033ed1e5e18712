"""Normalization layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class RMSNorm(Component, frozen=True, kw_only=True):
    """x / rms(x) · (offset + w), over the last dimension (Zhang & Sennrich 2019); Gemma's offset is 1."""

    name: str
    role: Role
    size: Size
    eps: float
    offset: float = 0.0

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One vector."""
        return (Plain("", self.role),)

    def sizes(self) -> Sizes:
        """(size)."""
        return {self.role: (self.size,)}

    @property
    def word(self) -> str:
        """Its usual name."""
        return "rms_norm"

    def equation(self, x: str = "x") -> str:
        """Scaled to a root mean square of 1, then by the weight."""
        return f"{x} / rms({x}) · {f'({self.offset:g} + {self.role})' if self.offset else self.role}"

    def terms(self) -> Mapping[Role, str]:
        """The factor of each element."""
        return {self.role: f"{self.equation()}   rms(x) = √(mean(x²) + {self.eps:g})"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]; the mean of squares is taken in float32."""
        import torch

        weight = at.weights(self)[self.role]
        if x.dtype in (torch.float32, torch.float64):
            scale = self.offset + weight if self.offset else weight
            return torch.nn.functional.rms_norm(x, (int(self.size),), scale, self.eps)
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return scaled.to(x.dtype) * (self.offset + weight)


class LayerNorm(Component, frozen=True, kw_only=True):
    """(x - mean) / std · w + b, over the last dimension (Ba et al. 2016)."""

    name: str
    role: Role
    size: Size
    eps: float
    bias: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        """A vector, and its bias."""
        return (Plain("", self.role, bias=self.bias),)

    def sizes(self) -> Sizes:
        """(size)."""
        return {self.role: (self.size,)}

    @property
    def word(self) -> str:
        """Its usual name."""
        return "layer_norm"

    def equation(self, x: str = "x") -> str:
        """Shifted to mean 0, scaled to variance 1, then by the weight, then shifted by the bias."""
        return f"({x} − mean({x})) / std({x}) · {self.role}" + (" + bias" if self.bias else "")

    def terms(self) -> Mapping[Role, str]:
        """The factor of each element, and what is added to it."""
        return {self.role: f"{self.equation()}   std(x) = √(var(x) + {self.eps:g})"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[…, size]."""
        import torch

        weights = at.weights(self)
        bias = weights.get(f"{self.role}.bias")
        return torch.nn.functional.layer_norm(x, (int(self.size),), weights[self.role], bias, self.eps)


Norm = RMSNorm | LayerNorm
