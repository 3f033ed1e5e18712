"""Encoder-decoders (Vaswani et al. 2017): one stack reads a text, another writes one and looks at the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Layers, Repeat
from weightscope.components.decoder import Block, run_layers
from weightscope.components.embedding import Embedding, Head
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs, Predicts, Runnable, beside_padding, refuse
from weightscope.components.running import At
from weightscope.components.sinusoids import Sinusoids
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.shared import Copy

if TYPE_CHECKING:
    import torch

# What the pass shares of the encoder with the decoder's layers.
SOURCE = "encoder"
DECODER_TOKENS = "decoder_input_ids"


class CrossBlock(Block, frozen=True, kw_only=True):
    """A block that looks at the encoder between attention and feed-forward: x + cross(cross_norm(x)).

    The norm acts on the sum instead where `norms_sums`. Without an encoder there is nothing to look at: BART's or
    Whisper's decoder alone.
    """

    cross_norm: Norm
    cross: Attention

    def children(self) -> Iterable[Component]:
        parts = tuple(super().children())
        fed = parts.index(self.feed_forward_norm or self.feed_forward)
        return *parts[:fed], self.cross_norm, self.cross, *parts[fed:]

    def _halves(self, x: str) -> list[str]:
        """With the look at the encoder between them."""
        first, last = super()._halves(x)
        norm = self.cross_norm.word
        looked = f"{norm}({x} + cross-attention({x}))" if self.norms_sums else f"{x} + cross-attention({norm}({x}))"
        return [first, looked, last]

    def looked(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The residual stream after the look at the encoder."""
        if self.cross.source not in at.run.shared:
            return x
        looked = at.call(self.cross, x if self.norms_sums else at.call(self.cross_norm, x))
        out = x + looked
        out = at.call(self.cross_norm, out) if self.norms_sums else out
        made = self.cross.equation("x" if self.norms_sums else "n")
        equation = f"{self.cross_norm.word}(x + {made})" if self.norms_sums else f"x + {made},  n = norm(x)"
        at.stage("cross-attention", equation, out)
        return out


class Source(Component, frozen=True, kw_only=True):
    """The half of an encoder-decoder that the other looks at; it reads the pass's tokens, unless it hears speech.

    `takes` are the names of the processor's arrays that it reads besides tokens or instead of them; `processor` is the
    class of the one that prepares images.
    """

    takes: ClassVar[tuple[str, ...]] = ()
    takes_tokens: ClassVar[bool] = True
    processor: ClassVar[str] = ""

    depth: int
    positions: Embedding | Sinusoids | None = None

    @property
    def vectors(self) -> int | None:
        """How many vectors it always puts out; None where as many as it reads tokens."""
        return None

    def checked(self, inputs: Inputs) -> None:
        """Raise a UsageError where the pass's inputs are none that it reads."""

    def read(self, tokens: torch.Tensor, table: Embedding, at: At) -> torch.Tensor:
        """What the decoder looks at, [S, D], of the pass's tokens [T] or inputs; `at` is the place of its parent.

        `table` lies beside it.
        """
        raise NotImplementedError


class Stack(Source, frozen=True, kw_only=True):
    """Token embeddings with positions and a norm, the layers, a last norm.

    The table of tokens is the whole model's; files may have it here again, under the name `table_copy`. The norm acts
    on the tokens alone, before positions are added, where it `norms_tokens` (Blenderbot's small decoder).
    """

    width: Size
    vocabulary: Size
    blocks: tuple[Repeat, ...]
    table_copy: str = "embed_tokens.weight"
    embedding_norm: Norm | None = None
    norms_tokens: bool = False
    final_norm: Norm | None = None
    label: str = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Copy(self.table_copy, Role.TOKEN_EMBEDDING),) if self.table_copy else ()

    def sizes(self) -> Sizes:
        return {Role.TOKEN_EMBEDDING: (self.vocabulary, self.width)}

    def children(self) -> Iterable[Component]:
        parts = (self.positions, self.embedding_norm, *self.blocks, self.final_norm)
        return tuple(part for part in parts if part is not None)

    def token_layers(self) -> Layers:
        return Layers(self.depth, self.width, self.vocabulary, self.blocks, half=self.label)

    def read(self, tokens: torch.Tensor, table: Embedding, at: At) -> torch.Tensor:
        return self.through(at.call(table, tokens), at.below(self))

    def through(self, hidden: torch.Tensor, at: At) -> torch.Tensor:
        """From token embeddings [T, D] through all layers and the last norm."""
        at = at.labelled(self.label)
        hidden = self._normed(hidden, at) if self.norms_tokens else hidden
        if self.positions:
            hidden = hidden + at.call(self.positions, at.run.positions)
        hidden = hidden if self.norms_tokens else self._normed(hidden, at)
        at.stage("embeddings", self._entering(), hidden)
        hidden = run_layers(self.blocks, hidden, at, last=at.run.last)
        if self.final_norm:
            hidden = at.call(self.final_norm, hidden)
            at.stage("final norm", self.final_norm.equation(), hidden)
        return hidden

    def _normed(self, hidden: torch.Tensor, at: At) -> torch.Tensor:
        return at.call(self.embedding_norm, hidden) if self.embedding_norm else hidden

    def _entering(self) -> str:
        """The equation of what enters the first layer."""
        norm, tokens = self.embedding_norm, "token_embedding[token]"
        if norm and self.norms_tokens:
            tokens = f"{norm.word}({tokens})"
        tokens += " + position_embedding" if self.positions else ""
        return f"{norm.word}({tokens})" if norm and not self.norms_tokens else tokens


class Halves(Component, frozen=True, kw_only=True):
    """The table of tokens, the encoder and the decoder, under the name that they have in common.

    The decoder may have a table of its own, of what it writes (Marian between two vocabularies). An `unused` one may
    lie beside those of both stacks.
    """

    table: Embedding
    written_table: Embedding | None = None
    unused_table: Embedding | None = None
    encoder: Source
    decoder: Stack | None

    @property
    def decoder_table(self) -> Embedding:
        """The table of the tokens that are written."""
        return self.written_table or self.table

    def children(self) -> Iterable[Component]:
        # A head is tied to the decoder's table, so that is the model's first.
        parts = (self.written_table, self.table, self.unused_table, self.encoder, self.decoder)
        return tuple(part for part in parts if part is not None)


class EncoderDecoder(Runnable, frozen=True, kw_only=True):
    """The logits of what the decoder writes, after the encoder has read the tokens of the pass.

    The decoder begins with `start` unless it is given tokens. One that `echoes`, or scores no vocabulary, goes on
    with the text itself, as transformers does (BART; mBART begins with the text's last token). Its output is
    multiplied by `scale` before the head. `buffers` that a file has are added to the logits (BART). Without a
    decoder, or with `heads` instead of the head over the vocabulary, what comes out is what those make. Where
    `padding` is given, only tokens other than it have positions (M2M-100). A head of the text's last token acts on the
    last one that is `end`. `refused` says why there is no pass.
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

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.buffers

    def children(self) -> Iterable[Component]:
        return tuple(part for part in (self.halves, self.head, *self.heads) if part is not None)

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
            raise UsageError(f"{DECODER_TOKENS} is missing, and config.json has no decoder_start_token_id")
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
        writing = place.apart(segments={}, positions=self.positions_of(ids, at.run.inputs).to(ids.device))
        writing.run.last = at.run.last
        writing.run.shared[SOURCE] = read
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
