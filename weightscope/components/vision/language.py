"""A vision-language model: vectors of images stand in the language model's sequence where its image tokens are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Embedding
from weightscope.components.runnable import PIXELS, Inputs, Predicts, Runnable
from weightscope.components.running import At, Whole
from weightscope.components.vision.eye import Eye, Frame, Layout
from weightscope.errors import NotImplementedByWeightscope, UsageError

if TYPE_CHECKING:
    import torch


class VisionLanguage(Runnable, frozen=True, kw_only=True):
    """`eye` makes the vectors that stand where `image_token` is; `language` holds the language model.

    `around` are the tokens that stand before and after an image that a prompt does not place, `written` the text or the
    token that places one where it is not the image token. `frame` is what the processor writes around the text.
    `other_tokens` stand for what is not implemented, by its name. Image tokens of one image also see later ones where
    `images_whole`: in all layers (Gemma 3), in those with a window (Gemma 4), or past windows too. Positions count from
    `first`. The token `blank` is looked up at an image's places. `unused` are parts that no pass uses, such as an audio
    tower. Tokens from `apart_from` on have tables of their own, which are not implemented. `refused` says why the
    forward pass is not implemented.
    """

    eye: Eye
    language: Group
    image_token: int
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    written: str | int = ""
    frame: Frame | None = None
    other_tokens: tuple[tuple[int, str], ...] = ()
    images_whole: Whole = ""
    first: int = 0
    blank: int = 0
    unused: tuple[Component, ...] = ()
    apart_from: int | None = None
    refused: str = ""

    def children(self) -> Iterable[Component]:
        return self.eye, self.language, *self.unused

    @property
    def model(self) -> CausalLM:
        """The language model."""
        (model,) = self.language.parts
        assert isinstance(model, CausalLM)
        return model

    @property
    def takes(self) -> tuple[str, ...]:
        return self.eye.takes

    @property
    def beside(self) -> tuple[str, ...]:
        return self.eye.beside

    @property
    def processor(self) -> str:
        return self.eye.processor

    @property
    def mark(self) -> int | None:
        return self.image_token

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
        """The language model: what has been seen is kept in its state alone."""
        return self.language

    def layouts(self, inputs: Inputs) -> Sequence[Layout]:
        """How each image is written among the tokens."""
        return self.eye.layouts(inputs)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        """Hold the images against the tower and the image tokens.

        Raises:
            UsageError: an input is missing or unknown, or shapes or the number of image tokens do not fit.
        """
        super().checked(inputs, tokens)
        for token, what in self.other_tokens:
            if token in tokens:
                raise UsageError(f"token {token} stands for {what}, which is not implemented")
        places = tokens.count(self.image_token)
        if self.apart_from is not None and not inputs and max(tokens, default=0) >= self.apart_from:
            raise UsageError(
                f"token {max(tokens)} is one of images or audio (from {self.apart_from:,} on), which is not implemented"
            )
        if not inputs:
            if places:
                raise UsageError(f"token {self.image_token} stands for an image, and no image was given")
            return
        self.complete(inputs)
        counts = self.eye.counts(inputs)
        if places != sum(counts):
            each = f": {counts[0]:,} for each" if len(set(counts)) == 1 else ""
            raise UsageError(
                f"{places:,} image tokens (id {self.image_token}), but the images need {sum(counts):,}{each}"
            )

    def complete(self, inputs: Inputs) -> None:
        """Raise a UsageError where the tower needs an input that is not there."""
        for name in self.eye.needs:
            if name not in inputs:
                raise UsageError(f"{name} is missing", hint=f"{' and '.join(self.eye.needs)} go together")

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        if PIXELS not in inputs:
            return super().positions_of(tokens, inputs) + self.first
        return self.eye.positions(tokens, self.image_token, inputs) + self.first

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; the places of the image token hold the pass's images.

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        if self.refused:
            raise NotImplementedByWeightscope(f"the forward pass is not implemented: {self.refused}")
        place = at.below(self.language).below(self.model)
        inputs = at.run.inputs
        if PIXELS not in inputs:
            return self.model.forward(x, place)
        seen = self.eye.see(inputs, at.below(self.eye))
        taken = x == self.image_token
        where = taken.nonzero()[:, 0]
        run = msgspec.structs.replace(
            at.run,
            added={layer: (where, vectors) for layer, vectors in enumerate(seen.deep)},
            together=self._together(taken) if self.images_whole else None,
            whole=self.images_whole,
        )
        place = At(run=run, prefix=place.prefix, label=place.label)
        inner = place.below(self.model.decoder)
        x = x.masked_fill(taken, self.blank)
        hidden = self.model.decoder.embed(x, inner)
        hidden[taken] = seen.vectors.to(hidden.dtype)
        for token, vector in seen.beside.items():
            hidden[(x == token) & ~taken] = vector.to(hidden.dtype)
        at.stage("image in place", "x with the images' vectors at the image tokens", hidden)
        self.model.decoder.tell_layers(x, hidden, inner)
        return self.model.score(self.model.decoder.through(hidden, inner), place)

    @staticmethod
    def _together(taken: torch.Tensor) -> torch.Tensor:
        """Of each token [T], the number of the row of image tokens that it is in, or -1."""
        starts = taken.clone()
        starts[1:] &= ~taken[:-1]
        return (starts.cumsum(0) - 1).masked_fill(~taken, -1)
