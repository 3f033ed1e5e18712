"""MobileNet's attention (arXiv 2404.10518): places of a map look at all places; the heads share keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.attention.attend import fused_attention
from weightscope.components.base import Component
from weightscope.components.layer_scale import LayerScale
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At
from weightscope.components.vision.same_convolution import NormedConvolution, SameConvolution
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class ReducedProjection(Component, frozen=True, kw_only=True):
    """The keys or the values of a map: its `reduction` to fewer places, if there is one, through a matrix."""

    name: str
    reduction: NormedConvolution | None
    proj: SameConvolution

    def equation(self, x: str = "x") -> str:
        return self.proj.equation(self.reduction.equation(x) if self.reduction else x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, width] to [images, places, size of a head]."""
        return at.call(self.proj, at.call(self.reduction, x) if self.reduction else x).flatten(1, 2)


class MultiQueryAttention(Component, frozen=True, kw_only=True):
    """softmax(q·kᵀ/√size)·v of all places, in `heads` heads that have one key and one value a place."""

    name: str
    heads: Size
    query: SameConvolution
    key: ReducedProjection
    value: ReducedProjection
    output: SameConvolution

    @property
    def size(self) -> Size:
        """Of a head's queries."""
        return self.query.outputs // self.heads

    def equation(self, x: str = "x") -> str:
        mixed = f"softmax(q·kᵀ/√{int(self.size)})·v"
        asked = f"q = {self.query.equation(x)}, k = {self.key.equation(x)}, v = {self.value.equation(x)}"
        return f"{self.output.equation(f'({mixed})')},  {asked}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, width] to the same."""
        import torch

        heads = int(self.heads)
        q = at.call(self.query, x).unflatten(-1, (heads, -1)).flatten(1, 2).transpose(1, 2)  # type: ignore[no-untyped-call]
        keys, values = at.call(self.key, x), at.call(self.value, x)
        mixed = torch.stack([fused_attention(q, k[None], v[None]) for q, k, v in zip(q, keys, values, strict=True)])
        return at.call(self.output, mixed.transpose(1, 2).flatten(2).unflatten(1, x.shape[1:3]))  # type: ignore[no-untyped-call]


class MobileAttention(Component, frozen=True, kw_only=True):
    """x + scale · attention(norm(x))."""

    norm: RMSNorm
    attention: MultiQueryAttention
    scale: LayerScale

    def equation(self, x: str = "x") -> str:
        return f"{x} + {self.scale.equation(f'attention({self.norm.word}({x}))')}"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, rows, columns, width] to the same."""
        out = x + at.call(self.scale, at.call(self.attention, at.call(self.norm, x)))
        at.stage("attention", self.equation(), out.flatten(0, 2))
        return out
