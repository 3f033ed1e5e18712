"""How the parts make a language model: residual blocks, the decoder they stack into, and the head on top."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Group, Repeat
from weightscope.components.embedding import Embedding, Head
from weightscope.components.norm import Norm


class Block(Component, frozen=True, kw_only=True):
    """x + attention(input_norm(x)), then x + feed_forward(feed_forward_norm(x)).

    `attention_out_norm` and `feed_forward_out_norm` act before the sums (Gemma 2). A `parallel` block feeds both
    halves from the same x (GPT-NeoX).
    """

    attention: Component
    feed_forward: Component
    input_norm: Norm
    feed_forward_norm: Norm
    attention_out_norm: Norm | None = None
    feed_forward_out_norm: Norm | None = None
    parallel: bool = False

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass."""
        parts = (
            self.input_norm,
            self.attention,
            self.attention_out_norm,
            self.feed_forward_norm,
            self.feed_forward,
            self.feed_forward_out_norm,
        )
        return tuple(part for part in parts if part is not None)


class Decoder(Component, frozen=True, kw_only=True):
    """Embeddings, the blocks in order of depth, the final norm.

    `blocks` has one `Repeat` for each kind of block; their indices together are 0 to `depth` - 1.
    """

    embedding: Embedding
    blocks: tuple[Repeat, ...]
    final_norm: Norm
    positions: Embedding | None = None
    depth: int

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass."""
        ends: tuple[Component, ...] = (self.embedding, *((self.positions,) if self.positions else ()))
        return (*ends, *self.blocks, self.final_norm)


class CausalLM(Component, frozen=True, kw_only=True):
    """A decoder, the head that turns its output into logits (none in a base model), and auxiliary parts."""

    decoder: Decoder
    head: Head | None
    extras: tuple[Component, ...] = ()

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass, auxiliary parts last."""
        return (self.decoder, *((self.head,) if self.head else ()), *self.extras)

    def under(self, prefix: str) -> Group:
        """The same model as a part of a larger one, every name below `prefix`."""
        return Group(name=prefix, parts=(self,))
