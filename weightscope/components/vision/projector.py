"""The bridge of a vision-language model: from the vision encoder's width to the language model's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Group
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class Projector(Group, frozen=True, kw_only=True):
    """Linear, activation, linear (LLaVA-1.5, arXiv 2310.03744), after a `norm` where there is one (ViP-LLaVA)."""

    activation: str
    norm: Norm | None = None
    section: Section | None = Section.PROJECTOR

    def children(self) -> Iterable[Component]:
        return (*((self.norm,) if self.norm else ()), *self.parts)

    def equation(self, x: str = "x") -> str:
        x = f"{self.norm.word}({x})" if self.norm else x
        for part in self.parts[:-1]:
            x = f"{WORDS.get(self.activation, self.activation)}({part.equation(x)})"
        return self.parts[-1].equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width of the vision encoder] to [N, width of the language model]."""
        x = at.call(self.norm, x) if self.norm else x
        for part in self.parts[:-1]:
            x = activate(self.activation, at.call(part, x))
        x = at.call(self.parts[-1], x)
        at.stage("projector", self.equation(), x)
        return x
