"""An image that comes before the text, without a token or a position of its own (GIT, arXiv 2205.14100)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.language import VisionLanguage
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class PlacedTokens(Component, frozen=True, kw_only=True):
    """What tokens get before an image is put beside them: their positions, then a norm."""

    positions: Embedding
    norm: Norm

    def equation(self, x: str = "x") -> str:
        return self.norm.equation(f"({x} + {self.positions.equation()})")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to the same."""
        return at.call(self.norm, x + at.call(self.positions, at.run.positions))


class NormedBridge(Component, frozen=True, kw_only=True):
    """A matrix, then a norm."""

    name: str
    matrix: Projection
    norm: Norm
    section: Section | None = Section.PROJECTOR

    def equation(self, x: str = "x") -> str:
        return f"{self.norm.word}({self.matrix.equation(x)})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width of the tower] to [N, D]."""
        made = at.call(self.norm, at.call(self.matrix, x))
        at.stage("projector", self.equation(), made)
        return made


class LeadingImage(VisionLanguage, frozen=True, kw_only=True):
    """The image token stands where no token does; the positions of tokens count from 0, whatever is before them."""

    places: int

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS in inputs and len(self.eye.counts(inputs)) > 1:
            raise UsageError("give one image only")
        count = len(tokens) - tokens.count(self.image_token)
        if self.image_token in tokens[len(tokens) - count :]:
            raise UsageError("the image comes before the text")
        if count > self.places:
            raise UsageError(f"{count:,} tokens exceed the {self.places:,} learned positions")

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """Of the image's vectors 0, which is not used."""
        return ((tokens != self.image_token).cumsum(0) - 1).clamp(min=0)
