"""A language model with senses: vectors of images or audio stand in its sequence where their tokens are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Embedding
from weightscope.components.runnable import Inputs, Predicts, Runnable
from weightscope.components.running import At, Pass
from weightscope.components.sense import Frame, Seen, Sense
from weightscope.errors import NotImplementedByWeightscope, UsageError

if TYPE_CHECKING:
    import torch


class SensingLanguage(Runnable, frozen=True, kw_only=True):
    """`sense` makes the vectors that stand where its token, the `mark`, is; `language` holds the language model.

    `around` are the tokens that stand before and after an image that a prompt does not place, `written` the text or the
    token that places one where it is not the mark. `frame` is what the processor writes around the text.
    `other_tokens` stand for what is not implemented, by its name. Positions count from `first`. The token `blank` is
    looked up at the mark's places. `unused` are parts that no pass uses, such as an audio tower. Tokens from
    `apart_from` on have tables of their own, which are not implemented. `refused` says why the forward pass is not
    implemented.
    """

    language: Group
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    written: str | int = ""
    frame: Frame | None = None
    other_tokens: tuple[tuple[int, str], ...] = ()
    first: int = 0
    blank: int = 0
    unused: tuple[Component, ...] = ()
    apart_from: int | None = None
    refused: str = ""

    @property
    def sense(self) -> Sense:
        """What makes the vectors."""
        raise NotImplementedError

    @property
    def mark(self) -> int:
        raise NotImplementedError

    def children(self) -> Iterable[Component]:
        return self.sense, self.language, *self.unused

    @property
    def model(self) -> CausalLM:
        """The language model."""
        (model,) = self.language.parts
        assert isinstance(model, CausalLM)
        return model

    @property
    def takes(self) -> tuple[str, ...]:
        return self.sense.takes

    @property
    def beside(self) -> tuple[str, ...]:
        return self.sense.beside

    @property
    def processor(self) -> str:
        return self.sense.processor

    @property
    def words(self) -> Embedding:
        return self.model.words

    @property
    def learned(self) -> Embedding | None:
        return self.model.learned

    @property
    def layers(self) -> int:
        return self.model.layers

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
        thing, places = self.sense.thing, tokens.count(self.mark)
        if self.apart_from is not None and not inputs and max(tokens, default=0) >= self.apart_from:
            raise UsageError(
                f"token {max(tokens)} is one of images or audio (from {self.apart_from:,} on), which is not implemented"
            )
        if not inputs:
            if places:
                raise UsageError(f"token {self.mark} stands for an {thing}, and no {thing} was given")
            return
        self.sense.complete(inputs)
        counts = self.sense.counts(inputs)
        if places != sum(counts):
            each = f": {counts[0]:,} for each" if len(set(counts)) == 1 else ""
            raise UsageError(f"{places:,} {thing} tokens (id {self.mark}), but the {thing}s need {sum(counts):,}{each}")

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        if not self.sense.given(inputs):
            return super().positions_of(tokens, inputs) + self.first
        return self.sense.positions(tokens, self.mark, inputs) + self.first

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; the places of the mark hold what the pass's inputs become.

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        if self.refused:
            raise NotImplementedByWeightscope(f"the forward pass is not implemented: {self.refused}")
        place = at.below(self.language).below(self.model)
        inputs = at.run.inputs
        if not self.sense.given(inputs):
            return self.model.forward(x, place)
        seen = self.sense.see(inputs, at.below(self.sense))
        taken = x == self.mark
        run = msgspec.structs.replace(self.joined(at.run, taken), added=self._added(seen, taken))
        place = At(run=run, prefix=place.prefix, label=place.label)
        inner = place.below(self.model.decoder)
        x = x.masked_fill(taken, self.blank)
        hidden = self.model.decoder.embed(x, inner)
        hidden[taken] = seen.vectors.to(hidden.dtype)
        for token, vector in seen.beside.items():
            hidden[(x == token) & ~taken] = vector.to(hidden.dtype)
        thing = self.sense.thing
        at.stage(f"{thing} in place", f"x with the {thing}s' vectors at the {thing} tokens", hidden)
        self.model.decoder.tell_layers(x, hidden, inner)
        return self.model.score(self.model.decoder.through(hidden, inner), place)

    def joined(self, run: Pass, taken: torch.Tensor) -> Pass:
        """The pass, in which tokens that are `taken` [T] may see each other: as they are."""
        del taken
        return run

    @staticmethod
    def _added(seen: Seen, taken: torch.Tensor) -> Mapping[int, tuple[torch.Tensor, torch.Tensor]]:
        """What the output of the first layers gets besides."""
        where = taken.nonzero()[:, 0]
        return {layer: (where, vectors) for layer, vectors in enumerate(seen.deep)}
