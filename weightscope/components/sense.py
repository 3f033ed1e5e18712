"""What a model makes of images or of audio before its language model gets it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.components.base import Component
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class Token(msgspec.Struct, frozen=True):
    """One token that no vectors stand at."""

    id: int


class Frame(msgspec.Struct, frozen=True):
    """How a processor writes a text with images: `begin` after the last image, `end` last, nothing else (PaliGemma).

    Where `begin` is None there is nothing in its place (Kosmos-2).
    """

    begin: int | None
    end: str


# How an image or a clip is written among the tokens: how many of its tokens in a row, another token, or its text.
Layout = tuple[int | str | Token, ...]


def between(begin: int | None, count: int, end: int | None) -> Layout:
    """So many of its tokens in a row, a token before and one after them, where there is one."""
    before, after = (() if token is None else (Token(int(token)),) for token in (begin, end))
    return (*before, count, *after)


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
    """`vectors` [N, D] for the places of the sense's token, in their order; `deep` are added after the first layers.

    `beside` are vectors [D] of other tokens, which stand in the place of their embeddings.
    """

    vectors: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()
    beside: Mapping[int, torch.Tensor] = {}


class Sense(Component, frozen=True, kw_only=True):
    """A tower and the bridge to the language model: an eye, which sees images, or an ear, which hears clips.

    `takes` are the names of the arrays that the model's processor makes, the pixels or the spectrograms first; `needs`
    those of them that it cannot do without, `beside` those that only say how an image is written among the tokens.
    `processor` is the processor's class, `thing` what it takes, and `question` what is asked of one by default.
    """

    takes: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]
    beside: ClassVar[tuple[str, ...]] = ()
    processor: ClassVar[str] = ""
    thing: ClassVar[str]
    question: ClassVar[str]

    def given(self, inputs: Collection[str]) -> bool:
        """Whether there is anything for it among the inputs."""
        return self.takes[0] in inputs

    def complete(self, inputs: Inputs) -> None:
        """Raise a UsageError where it needs an input that is not there."""
        for name in self.needs:
            if name not in inputs:
                raise UsageError(f"{name} is missing", hint=f"{' and '.join(self.needs)} go together")

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        """How many vectors each image or clip becomes.

        Raises:
            UsageError: the inputs are none that this tower takes.
        """
        raise NotImplementedError

    def see(self, inputs: Inputs, at: At) -> Seen:
        """The vectors of all of them."""
        raise NotImplementedError

    def places(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """True [T] where the vectors stand among the tokens [T]: at each `mark`."""
        del inputs
        return tokens == mark

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """How each is written among the tokens, as the model's processor does."""
        return [(count,) for count in self.counts(inputs)]

    def finished(self, text: str) -> str:
        """The text of a prompt whose images are written out, as the model's processor leaves it."""
        return text

    def positions(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """The positions [T], or [axes, T], of the tokens [T]; `mark` stands where the vectors do."""
        import torch

        return torch.arange(len(tokens))
