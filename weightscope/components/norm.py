"""Normalization layers."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain


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


Norm = RMSNorm | LayerNorm
