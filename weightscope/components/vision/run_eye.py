"""An eye whose vectors stand in a run between two tokens, whatever is written there (Kosmos-2, arXiv 2306.14824)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from weightscope.components.runnable import PIXELS, Inputs, beside_padding
from weightscope.components.sense import Layout, Token
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

PLACES = "image_embeds_position_mask"


class RunEye(CropEye, frozen=True, kw_only=True):
    """An image begins with its mark, and after `each` tokens ends with the token `end`; or a mask tells the places.

    The processor begins a text with the text `begin`.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, PLACES)
    needs: ClassVar[tuple[str, ...]] = (PIXELS,)

    begin: str
    end: int

    def places(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """True [T] where the vectors stand among the tokens [T].

        Raises:
            UsageError: the mask is of another number of tokens.
        """
        import torch

        if PLACES in inputs:
            told = inputs[PLACES].flatten().bool()
            if len(told) != len(tokens):
                raise UsageError(f"{PLACES} has shape {list(inputs[PLACES].shape)} for {len(tokens):,} tokens")
            return told
        found = torch.zeros_like(tokens, dtype=torch.bool)
        last = len(tokens) - self.each - 1
        for start in (tokens == mark).nonzero()[:, 0].tolist():
            if start < last and not found[start] and tokens[start + self.each + 1] == self.end:
                found[start + 1 : start + self.each + 1] = True
        return found

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """The mark once more for each vector, as the processor writes it first."""
        return [(1 + count, Token(self.end)) for count in self.counts(inputs)]

    def finished(self, text: str) -> str:
        """With the token that begins a text, and a blank after the last image."""
        return self.begin + re.sub(r"(</image>)(?=[^ ])", r"\1 ", text)


class RunLanguage(VisionLanguage, frozen=True, kw_only=True):
    """Only tokens other than `padding` have positions."""

    padding: int

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        return beside_padding(tokens, self.padding)

    def completed(self, inputs: Mapping[str, Any], tokens: tuple[int, ...]) -> Mapping[str, Any]:
        """With the mask of the places at which images stand, [1, T]."""
        import torch

        if PIXELS not in inputs or PLACES in inputs:
            return inputs
        return {**inputs, PLACES: self.eye.places(torch.tensor(tokens), self.image_token, {})[None].long()}
