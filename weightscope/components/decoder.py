"""How the parts make a language model: residual blocks, the decoder they stack into, and the head on top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch


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

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        mixed = at.run(self.attention, at.run(self.input_norm, x))
        if self.attention_out_norm:
            mixed = at.run(self.attention_out_norm, mixed)
        fed = at.run(self.feed_forward, at.run(self.feed_forward_norm, x if self.parallel else x + mixed))
        if self.feed_forward_out_norm:
            fed = at.run(self.feed_forward_out_norm, fed)
        return x + mixed + fed


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

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to [T, D]."""
        import torch

        hidden = at.run(self.embedding, x)
        if self.positions:
            hidden = hidden + at.run(self.positions, torch.arange(len(x)))
        layers = {layer: repeat for repeat in self.blocks for layer in repeat.indices}
        for layer, repeat in sorted(layers.items()):
            hidden = repeat.child.forward(hidden, at.below(repeat, layer))
        return at.run(self.final_norm, hidden)


class CausalLM(Component, frozen=True, kw_only=True):
    """A decoder, the head that turns its output into logits (none in a base model), and auxiliary parts."""

    decoder: Decoder
    head: Head | Classifier | None
    extras: tuple[Component, ...] = ()

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass, auxiliary parts last."""
        return (self.decoder, *((self.head,) if self.head else ()), *self.extras)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary], or without a head to [T, D]."""
        hidden = at.run(self.decoder, x)
        if self.head is None:
            return hidden
        place = at.below(self.head)
        if isinstance(self.head, Classifier) or not self.head.tied:
            return self.head.forward(hidden, place)
        embedding = self.decoder.embedding
        table = at.below(self.decoder).below(embedding).weights(embedding)[embedding.role]
        return self.head.score(hidden, {Role.LM_HEAD: table})
