"""One matrix from the vision encoder's features to the language model's width (PaliGemma, arXiv 2407.07726)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Conflict
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Section
from weightscope.sizes import Size

if TYPE_CHECKING:
    import torch


class FlatProjector(Component, frozen=True, kw_only=True):
    """`matrix` as it is; it has to put out vectors as wide as the `language` model's."""

    matrix: Projection
    language: Size
    section: Section | None = Section.PROJECTOR

    def children(self) -> Iterable[Component]:
        return (self.matrix,)

    def conflicts(self) -> Iterable[Conflict]:
        """A projector whose vectors the language model cannot take."""
        made, wanted = self.matrix.outputs, self.language
        if made != wanted:
            yield Conflict(
                f"the projector puts out vectors of {made:,} ({made.text}), but the language model's are"
                f" {wanted:,} ({wanted.text})",
                (*made.keys, *wanted.keys),
            )

    def equation(self, x: str = "x") -> str:
        return self.matrix.equation(x)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width of the vision encoder] to [N, width of the language model]."""
        out = at.call(self.matrix, x)
        at.stage("projector", self.equation(), out)
        return out
