"""Squares of patches through a convolution, then a gated MLP at the language model's width (GLM-4.1V)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel

if TYPE_CHECKING:
    import torch


class DownsamplingMerger(Component, frozen=True, kw_only=True):
    """mlp(gelu(norm(proj·(downsample ∗ [`merge` × `merge` patches])))); `width` is that of a patch."""

    width: Size
    outputs: Size
    merge: Size
    proj: Projection
    norm: Norm
    mlp: GatedMLP
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Kernel("downsample", Role.PROJECTOR, bias=True),)

    def sizes(self) -> Sizes:
        """(outputs, width, merge, merge), as `torch.nn.Conv2d` has it."""
        return {Role.PROJECTOR: (self.outputs, self.width, self.merge, self.merge)}

    def equation(self, x: str = "x") -> str:
        merged = f"downsample ∗ [{int(self.merge) ** 2} patches of {x}] + bias"
        return self.mlp.equation(f"gelu({self.norm.word}({self.proj.equation(f'({merged})')}))")

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROJECTOR: f"downsample ∗ [{int(self.merge) ** 2} patches side by side] + bias"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width], square by square, to [N / merge², outputs]."""
        import torch

        weights, merge = at.weights(self), int(self.merge)
        squares = x.view(-1, merge, merge, x.shape[-1]).permute(0, 3, 1, 2)
        kernel, bias = weights[Role.PROJECTOR], weights[f"{Role.PROJECTOR}.bias"]
        merged = torch.nn.functional.conv2d(squares, kernel, bias, stride=merge).flatten(1)
        return at.call(self.mlp, activate("gelu", at.call(self.norm, at.call(self.proj, merged))))
