"""The halves of an encoder-decoder: what reads, what writes and looks at that, and what lies around both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Layers, Repeat
from weightscope.components.decoder import Block, run_layers
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sinusoids import Sinusoids
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.shared import Copy

if TYPE_CHECKING:
    import torch

# What the pass shares of the encoder with the decoder's layers.
SOURCE = "encoder"


class CrossBlock(Block, frozen=True, kw_only=True):
    """A block that looks at the encoder between attention and feed-forward: x + cross(cross_norm(x)).

    The norm acts on the sum instead where `norms_sums`. Without an encoder there is nothing to look at: BART's or
    Whisper's decoder alone.
    """

    cross_norm: Norm
    cross: Attention

    def children(self) -> Iterable[Component]:
        *parts, cross_norm, cross = super().children()
        fed = parts.index(self.feed_forward_norm or self.feed_forward)
        return *parts[:fed], cross_norm, cross, *parts[fed:]

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
    embedding_norm: Norm | None = None
    blocks: tuple[Repeat, ...]
    table_copy: str = "embed_tokens.weight"
    norms_tokens: bool = False
    final_norm: Norm | None = None
    label: str = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Copy(self.table_copy, Role.TOKEN_EMBEDDING),) if self.table_copy else ()

    def sizes(self) -> Sizes:
        return {Role.TOKEN_EMBEDDING: (self.vocabulary, self.width)}

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

    # A head is tied to the table of what is written, so that is the model's first.
    written_table: Embedding | None = None
    table: Embedding
    unused_table: Embedding | None = None
    encoder: Source
    decoder: Stack | None

    @property
    def decoder_table(self) -> Embedding:
        """The table of the tokens that are written."""
        return self.written_table or self.table
