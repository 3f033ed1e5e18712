"""Encoder-decoders (Vaswani et al. 2017): one stack reads a text, another writes one and looks at the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding, Head
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.halves import SOURCE, Halves
from weightscope.components.runnable import Inputs, Predicts, Runnable, beside_padding, refuse
from weightscope.components.running import At
from weightscope.errors import UsageError
from weightscope.storage.base import StorageItem

if TYPE_CHECKING:
    import torch

DECODER_TOKENS = "decoder_input_ids"


class EncoderDecoder(Runnable, frozen=True, kw_only=True):
    """The logits of what the decoder writes, after the encoder has read the tokens of the pass.

    The decoder begins with `start` unless it is given tokens. One that `echoes`, or scores no vocabulary, goes on
    with the text itself, as transformers does (BART; mBART begins with the text's last token). Its output is
    multiplied by `scale` before the head. `buffers` that a file has are added to the logits (BART). Without a
    decoder, or with `heads` instead of the head over the vocabulary, what comes out is what those make. Where
    `padding` is given, only tokens other than it have positions (M2M-100). A head of the text's last token acts on the
    last one that is `end`. `extras` are parts that a checkpoint may have and the model runs without. `refused` says why
    there is no pass.
    """

    halves: Halves
    head: Head | None = None
    heads: tuple[EncoderHead, ...] = ()
    start: int | None = None
    echoes: bool = False
    scale: float = 1.0
    padding: int | None = None
    end: int | None = None
    refused: str = ""
    buffers: tuple[StorageItem, ...] = ()
    extras: tuple[Component, ...] = ()

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.buffers

    @property
    def takes_tokens(self) -> bool:
        return self.halves.encoder.takes_tokens

    @property
    def takes(self) -> tuple[str, ...]:
        return (*self.halves.encoder.takes, *((DECODER_TOKENS,) if self.halves.decoder else ()))

    @property
    def processor(self) -> str:
        return self.halves.encoder.processor

    @property
    def words(self) -> Embedding:
        return self.halves.table

    @property
    def learned(self) -> Embedding | None:
        positions = self.halves.encoder.positions
        return positions if isinstance(positions, Embedding) else None

    @property
    def layers(self) -> int:
        return (self.halves.decoder or self.halves.encoder).depth

    @property
    def logits_of(self) -> Predicts:
        return "next" if self.head else ""

    @property
    def decoder_start(self) -> int | None:
        return self.start

    def looks_at(self, context: int) -> int:
        """As many as a clip becomes, or a text as long as the one that is written."""
        vectors = self.halves.encoder.vectors
        return context if vectors is None else vectors

    @property
    def writer(self) -> Component | None:
        """The decoder; with heads of another kind it does not write."""
        return None if self.heads else self.halves.decoder

    def scored(self, tokens: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
        """The decoder's tokens."""
        if self.halves.decoder is None:
            return tokens
        if DECODER_TOKENS in inputs:
            return tuple(inputs[DECODER_TOKENS].flatten().tolist())
        start = None if self.start is None else int(self.start)
        if self.head and not self.echoes:
            return () if start is None else (start,)
        return (tokens[-1] if start is None else start, *tokens[:-1])

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        self.halves.encoder.checked(inputs)
        decoder = self.halves.decoder
        if decoder is None:
            return
        if DECODER_TOKENS not in inputs and self.start is None and not self.echoes:
            raise no_start()
        written = self.scored(tokens, inputs)
        self._require_end(tokens, written)
        self.hold(written)

    def hold(self, written: tuple[int, ...]) -> None:
        """Raise a UsageError where these are no tokens that the decoder can have written."""
        assert self.halves.decoder
        places = self.halves.decoder.positions
        hold_written(written, self.halves.decoder_table, places if isinstance(places, Embedding) else None)

    def _require_end(self, tokens: tuple[int, ...], written: tuple[int, ...]) -> None:
        """Hold the tokens against a head of the last one that is `end`, by its place in what is read.

        Raises:
            UsageError: there is none, or as many tokens are not written as read.
        """
        if self.end is None:
            return
        if self.end not in tokens:
            raise UsageError(f"token {self.end} is missing, whose vector is classified", hint="end the tokens with it")
        if len(written) != len(tokens):
            raise UsageError(f"{len(written):,} {DECODER_TOKENS} for {len(tokens):,} tokens: this head needs as many")

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """Counted from 0, or of the tokens that are no padding."""
        if self.padding is None:
            return super().positions_of(tokens, inputs)
        return beside_padding(tokens, self.padding)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] of the text that is read to logits [T', vocabulary] of the one that is written.

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        import torch

        read = self.halves.encoder.read(x, self.halves.table, at.below(self.halves).apart(segments={}))
        if self.halves.decoder is None:
            return self._made(read, x, at)
        ids = torch.tensor(self.scored(tuple(x.tolist()), at.run.inputs), device=x.device)
        hidden = self.written(ids, read, at)
        return self.score(hidden, at) if self.head else self._made(hidden, x, at)

    def written(self, ids: torch.Tensor, read: torch.Tensor, at: At) -> torch.Tensor:
        """What the decoder puts out [T', D] of the ids [T'] that it has written, after `read` [S, D]."""
        decoder, table, place = self.halves.decoder, self.halves.decoder_table, at.below(self.halves)
        assert decoder
        writing = looking(place, read, self.positions_of(ids, at.run.inputs).to(ids.device))
        return decoder.through(place.call(table, ids), writing.below(decoder))

    def score(self, hidden: torch.Tensor, at: At) -> torch.Tensor:
        """The decoder's output [T', D] to logits [T', vocabulary]."""
        assert self.head
        hidden = hidden * self.scale if self.scale != 1.0 else hidden
        table, own = self.halves.decoder_table, at.below(self.head)
        if self.head.tied:
            scores = self.head.score(hidden, own, table, at.below(self.halves).below(table))
        else:
            scores = self.head.forward(hidden, own)
        for buffer in self.buffers:
            for added in buffer.read(at.prefix, {}, at.run.reader).values():
                scores = scores + added.to(scores.dtype)
        at.stage("logits", self.head.equation(), scores)
        return scores

    def _made(self, hidden: torch.Tensor, x: torch.Tensor, at: At) -> torch.Tensor:
        """What the first head makes of hidden states, or they themselves; x [T] are the ids that were read."""
        for head in self.heads:
            hidden = at.call(head, hidden[x == self.end][-1:] if head.of == "last" else hidden)
            at.stage(head.word, head.equation(), hidden)
        return hidden


def no_start() -> UsageError:
    """Nothing tells with which token a decoder begins."""
    return UsageError(f"{DECODER_TOKENS} is missing, and config.json has no decoder_start_token_id")


def looking(at: At, read: torch.Tensor, positions: torch.Tensor) -> At:
    """The same place in a decoder's own pass over what it has written, which looks at `read` [S, D]."""
    place = at.apart(segments={}, positions=positions)
    place.run.last = at.run.last
    place.run.shared[SOURCE] = read
    return place


def hold_written(written: tuple[int, ...], table: Embedding, places: Embedding | None) -> None:
    """Hold tokens that a decoder has written against its table and its learned positions, where it has any.

    Raises:
        UsageError: there are none, one is outside of the table, or they are too many.
    """
    rows = int(table.rows)
    beyond = [token for token in written if not 0 <= token < rows]
    if beyond or not written:
        what = f"token {beyond[0]} is outside the vocabulary (0 to {rows - 1:,})" if beyond else "no tokens"
        raise UsageError(f"{DECODER_TOKENS}: {what}")
    if places and len(written) > (most := places.rows - places.offset):
        raise UsageError(f"{len(written):,} {DECODER_TOKENS} exceed the {most:,} learned positions")
