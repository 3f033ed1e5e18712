"""An encoder-decoder whose encoder reads vectors of images among its tokens (Florence-2, arXiv 2311.06242)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Conflict
from weightscope.components.halves import Stack
from weightscope.components.runnable import Inputs, Predicts, Runnable, refuse
from weightscope.components.running import At
from weightscope.components.seq2seq import DECODER_TOKENS, EncoderDecoder, no_start
from weightscope.components.vision.davit_eye import DavitEye
from weightscope.components.vision.language import VisionLanguage

if TYPE_CHECKING:
    import torch


class SeeingEncoderDecoder(VisionLanguage, frozen=True, kw_only=True):
    """The vectors stand where the image token is in what is read; what is written begins with `start`."""

    eye: DavitEye

    @property
    def pair(self) -> EncoderDecoder:
        """Both stacks."""
        (pair,) = self.language.parts
        assert isinstance(pair, EncoderDecoder)
        return pair

    def conflicts(self) -> Iterable[Conflict]:
        """A bridge whose vectors are of another width than the tokens'."""
        made, wanted = self.eye.bridge.outputs, self.pair.halves.table.width
        if made != wanted:
            yield Conflict(
                f"the projector puts out {made:,} features ({made.text}), but the encoder's tokens have {wanted:,} "
                f"({wanted.text})",
                (*made.keys, *wanted.keys),
            )

    @property
    def takes(self) -> tuple[str, ...]:
        return (*super().takes, DECODER_TOKENS)

    @property
    def reader(self) -> Runnable:
        return self.pair

    @property
    def logits_of(self) -> Predicts:
        return self.pair.logits_of

    @property
    def decoder_start(self) -> int | None:
        return self.pair.start

    @property
    def writer(self) -> Component:
        """The decoder."""
        return self.pair.halves.decoder or self.language

    def looks_at(self, context: int) -> int:
        return self.pair.looks_at(context)

    def scored(self, tokens: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
        """The decoder's tokens."""
        if DECODER_TOKENS in inputs:
            return tuple(inputs[DECODER_TOKENS].flatten().tolist())
        return () if self.pair.start is None else (self.pair.start,)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if DECODER_TOKENS not in inputs and self.pair.start is None:
            raise no_start()
        self.pair.hold(self.scored(tokens, inputs))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] that are read to logits [T', vocabulary] of those that are written, or without a head to [T', D].

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused or self.pair.refused)
        import torch

        pair, place = self.pair, at.below(self.language).below(self.pair)
        ids = torch.tensor(self.scored((), at.run.inputs), device=x.device)
        hidden = pair.written(ids, self._read(x, at, place.below(pair.halves)), place)
        return pair.score(hidden, place) if pair.head else hidden

    def _read(self, x: torch.Tensor, at: At, place: At) -> torch.Tensor:
        """What the encoder puts out [T, D] of the ids [T]; `place` is that of both stacks."""
        encoder, table = self.pair.halves.encoder, self.pair.halves.table
        assert isinstance(encoder, Stack)
        reading = place.apart(segments={})
        seeing, inputs = self.eye.given(at.run.inputs), at.run.inputs
        taken = self.eye.places(x, self.image_token, inputs)
        hidden = reading.call(table, x.masked_fill(taken, self.blank))
        if seeing:
            hidden[taken] = self.eye.see(inputs, at.below(self.eye)).vectors.to(hidden.dtype)
            at.stage("image in place", "x with the images' vectors at the image tokens", hidden)
        return encoder.through(hidden, reading.below(encoder))
