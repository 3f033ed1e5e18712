"""What a vision-language model makes of images before its language model sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.base import Component
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class Token(msgspec.Struct, frozen=True):
    """One token that is not the image token."""

    id: int


class Frame(msgspec.Struct, frozen=True):
    """How a processor writes a text with images: `begin` after the last image, `end` last, nothing else (PaliGemma)."""

    begin: int
    end: str


# How an image is written among the tokens: how many image tokens in a row, another token, or its text.
Layout = tuple[int | str | Token, ...]


def whole_numbers(inputs: Inputs, name: str) -> list[int]:
    """The numbers of an input, in one row.

    Raises:
        UsageError: they are not whole numbers.
    """
    given = inputs[name].flatten()
    if given.is_floating_point() or given.is_complex():
        raise UsageError(f"{name} holds {given.dtype} values, not whole numbers")
    return [int(number) for number in given]


class Seen(msgspec.Struct, frozen=True):
    """`vectors` [N, D] for the places of the image token, in their order; `deep` are added after the first layers.

    `beside` are vectors [D] of other tokens, which stand in the place of their embeddings.
    """

    vectors: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()
    beside: Mapping[int, torch.Tensor] = {}


class Eye(Component, frozen=True, kw_only=True):
    """A vision tower and the bridge to the language model.

    `takes` are the names of the arrays that the model's image processor makes, the pixels first; `needs` those of
    them that it cannot do without, `beside` those that only say how images are written among the tokens. `processor` is
    the processor's class.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS,)
    needs: ClassVar[tuple[str, ...]] = (PIXELS,)
    beside: ClassVar[tuple[str, ...]] = ()
    processor: ClassVar[str] = "CLIPImageProcessor"

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        """How many vectors each image becomes.

        Raises:
            UsageError: the inputs are no images that this tower takes.
        """
        raise NotImplementedError

    def see(self, inputs: Inputs, at: At) -> Seen:
        """The vectors of all images."""
        raise NotImplementedError

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """How each image is written among the tokens, as the model's processor does."""
        return [(count,) for count in self.counts(inputs)]

    def finished(self, text: str) -> str:
        """The text of a prompt whose images are written out, as the model's processor leaves it."""
        return text

    def positions(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """The positions [T], or [axes, T], of the tokens [T]; `mark` stands where the vectors do."""
        import torch

        return torch.arange(len(tokens))
