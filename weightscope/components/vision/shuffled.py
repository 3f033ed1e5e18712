"""Squares of patches side by side, three matrices to the language model's width (Llama 4, Meta 2025)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Conflict
from weightscope.components.feed_forward.activations import activate
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class ShuffledMLP(Component, frozen=True, kw_only=True):
    """out·gelu(second·gelu(first·[`merge` × `merge` patches of x])), of pictures of `side` × `side` patches.

    `width` is that of a patch.
    """

    first: Projection
    second: Projection
    out: Projection
    width: Size
    side: int
    merge: int
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        inner = f"gelu({self.first.equation(f'[{self.merge**2} patches of {x}]')})"
        return self.out.equation(f"gelu({self.second.equation(inner)})")

    def conflicts(self) -> Iterable[Conflict]:
        """A matrix that does not take what the one before it puts out, or the tower."""
        steps = (
            ("the tower", self.width * self.merge**2, self.first),
            ("the matrix before it", self.first.outputs, self.second),
            ("the matrix before it", self.second.outputs, self.out),
        )
        for what, given, taker in steps:
            if given != taker.inputs:
                yield Conflict(
                    f"the projector's {taker.name} takes {taker.inputs:,} ({taker.inputs.text}), "
                    f"but {what} puts out {given:,} ({given.text})",
                    (*taker.inputs.keys, *given.keys),
                )

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [pictures · side², width] to [pictures · (side / merge)², width of the language model]."""
        places = self.side // self.merge
        grid = x.view(-1, places, self.merge, places, self.merge, x.shape[-1])
        x = grid.transpose(2, 3).reshape(-1, self.merge**2 * x.shape[-1])
        for part in (self.first, self.second):
            x = activate("gelu", at.call(part, x))
        x = at.call(self.out, x)
        at.stage("projector", self.equation(), x)
        return x
