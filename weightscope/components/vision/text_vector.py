"""A text encoder alone, with the matrix that makes its vector for the comparison with images (CLIP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.runnable import Inputs, Runnable, refuse
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

# The id by which old configs name the end of a text; the largest id of a text is taken for it then.
OLD_END = 2


class TextVector(Runnable, frozen=True, kw_only=True):
    """The projection of the features of the first token `end`; of the last token where it is None."""

    text: CausalLM
    projection: Projection
    end: int | None
    refused: str = ""

    @property
    def reader(self) -> Runnable:
        return self.text

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        require_end(self.end, tokens)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to the vector [1, width].

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        return text_vector(self.text, self.projection, self.end, x, at)


def text_vector(text: CausalLM, projection: Projection, end: int | None, x: torch.Tensor, at: At) -> torch.Tensor:
    """The vector [1, width] of the ids x [T], as a stage; both parts are right below the place."""
    hidden = text.forward(x, at.below(text))
    last = len(x) - 1
    if end is not None:
        last = int(x.argmax() if end == OLD_END else (x == end).int().argmax())
    vector = at.call(projection, hidden[last : last + 1])
    at.stage("text vector", projection.equation(f"x[{last}]"), vector)
    return vector


def require_end(end: int | None, tokens: tuple[int, ...]) -> None:
    """Raise a UsageError where the token is missing whose vector stands for the text."""
    if end is not None and end != OLD_END and end not in tokens:
        raise UsageError(f"token {end} is missing, whose vector stands for the text", hint="end the tokens with it")
