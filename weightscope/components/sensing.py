"""A language model with senses: vectors of images and audio stand in its sequence where their tokens are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.apart_tokens import ApartTokens
from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.runnable import Inputs, Predicts, Runnable, refuse
from weightscope.components.running import At, Pass
from weightscope.components.sense import Frame, Seen, Sense
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class SensingLanguage(Runnable, frozen=True, kw_only=True):
    """Each of the `senses` makes the vectors that stand where its token is; `language` holds the language model.

    `around` are the tokens that stand before and after an image that a prompt does not place, `written` the text or the
    token that places one where it is not the mark: both of the first sense. `frame` is what the processor writes around
    the text. `other_tokens` stand for what is not implemented, by its name. Positions count from `first`. The token
    `blank` is looked up at the marks' places; layers that get something of the tokens get it of that one, too, unless
    `layers_get_marks` (Gemma 3n). `unused` are parts that no pass uses. Tokens of those in `apart` have tables of their
    own. `refused` says why the forward pass is not implemented.
    """

    language: Group
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    written: str | int = ""
    frame: Frame | None = None
    other_tokens: tuple[tuple[int, str], ...] = ()
    first: int = 0
    blank: int = 0
    layers_get_marks: bool = False
    unused: tuple[Component, ...] = ()
    apart: tuple[ApartTokens, ...] = ()
    refused: str = ""

    @property
    def senses(self) -> tuple[tuple[Sense, int], ...]:
        """Those that it has, each with its token, the mark."""
        raise NotImplementedError

    @property
    def marks(self) -> tuple[int, ...]:
        return tuple(mark for _, mark in self.senses)

    def children(self) -> Iterable[Component]:
        return *(sense for sense, _ in self.senses), self.language, *self.unused

    @property
    def model(self) -> CausalLM:
        """The language model."""
        (model,) = self.language.parts
        assert isinstance(model, CausalLM)
        return model

    @property
    def takes(self) -> tuple[str, ...]:
        return tuple(name for sense, _ in self.senses for name in sense.takes)

    @property
    def beside(self) -> tuple[str, ...]:
        return tuple(name for sense, _ in self.senses for name in sense.beside)

    @property
    def processor(self) -> str:
        return self.senses[0][0].processor

    @property
    def reader(self) -> Runnable:
        return self.model

    @property
    def logits_of(self) -> Predicts:
        return self.model.logits_of

    @property
    def writer(self) -> Component:
        """The language model: what has been seen or heard is kept in its state alone."""
        return self.language

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        """Hold the images or clips against the tower and their tokens.

        Raises:
            UsageError: an input is missing or unknown, or shapes or the number of their tokens do not fit.
        """
        super().checked(inputs, tokens)
        for token, what in self.other_tokens:
            if token in tokens:
                raise UsageError(f"token {token} stands for {what}, which is not implemented")
        for sense, mark in self.senses:
            self._counted(sense, mark, inputs, tokens)

    def _counted(self, sense: Sense, mark: int, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        """Hold what one sense gets against the tower, and against the places for its vectors."""
        import torch

        thing, places = sense.thing, int(sense.places(torch.tensor(tokens), mark, inputs).sum())
        if not any(name in inputs for name in sense.takes):
            if places:
                raise UsageError(f"token {mark} stands for an {thing}, and no {thing} was given")
            return
        sense.complete(inputs)
        counts = sense.counts(inputs)
        if places != sum(counts):
            each = f": {counts[0]:,} for each" if len(set(counts)) == 1 else ""
            raise UsageError(f"{places:,} {thing} tokens (id {mark}), but the {thing}s need {sum(counts):,}{each}")

    def given(self, inputs: Collection[str]) -> list[tuple[Sense, int]]:
        """The senses that get something, each with its token."""
        return [(sense, mark) for sense, mark in self.senses if sense.given(inputs)]

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        for sense, mark in self.given(inputs):
            return sense.positions(tokens, mark, inputs) + self.first
        return super().positions_of(tokens, inputs) + self.first

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; the places of the marks hold what the pass's inputs become.

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        place = at.below(self.language).below(self.model)
        inputs = at.run.inputs
        given = self.given(inputs)
        if not given and not self.apart:
            return self.model.forward(x, place)
        found = [(sense, sense.places(x, mark, inputs), sense.see(inputs, at.below(sense))) for sense, mark in given]
        run = msgspec.structs.replace(self.joined(at.run, x), added=_added(found))
        place = At(run=run, prefix=place.prefix, label=place.label)
        inner = place.below(self.model.decoder)
        words = x
        for _, taken, _ in found:
            words = words.masked_fill(taken, self.blank)
        hidden = self.model.decoder.embed(words, inner)
        for part in self.apart:
            own = part.owns(words)
            hidden[own] = part.looked_up(words[own], at.below(part)).to(hidden.dtype)
        for sense, taken, seen in found:
            hidden[taken] = self.standing(hidden[taken], seen.vectors.to(hidden.dtype))
            for token, vector in seen.beside.items():
                hidden[(x == token) & ~taken] = vector.to(hidden.dtype)
            thing = sense.thing
            at.stage(f"{thing} in place", f"x with the {thing}s' vectors at the {thing} tokens", hidden)
        self.model.decoder.tell_layers(x if self.layers_get_marks else words, hidden, inner)
        return self.model.score(self.model.decoder.through(hidden, inner), place)

    def standing(self, looked_up: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """What stands at the marks' places [N, D], of what is looked up there and the vectors: these alone."""
        del looked_up
        return vectors

    def joined(self, run: Pass, tokens: torch.Tensor) -> Pass:
        """The pass, in which some of the tokens [T] may see each other: as they are."""
        del tokens
        return run


def _added(found: Sequence[tuple[Sense, torch.Tensor, Seen]]) -> Mapping[int, tuple[torch.Tensor, torch.Tensor]]:
    """What the output of the first layers gets besides, at the places of the one sense that adds something."""
    return {
        layer: (taken.nonzero()[:, 0], vectors) for _, taken, seen in found for layer, vectors in enumerate(seen.deep)
    }
