"""Encoders (BERT, arXiv 1810.04805): embeddings of tokens, positions and types, layers in which all see all, heads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Layers, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.embedding import Embedding
from weightscope.components.encoder_heads import EncoderHead, MaskedHead
from weightscope.components.inner_adapters import InnerAdapter
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import Inputs, Predicts, Runnable, beside_padding
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

    from weightscope.storage.base import StorageItem

TYPES, MASK = "token_type_ids", "attention_mask"


class TokenEmbeddings(Component, frozen=True, kw_only=True):
    """What enters the first layer: the sum of a row for each token, its position and its type, then a norm.

    `project` brings it to the layers' width (ELECTRA). `buffers` are stored beside the tables and not used.
    """

    words: Embedding
    positions: Embedding | None = None
    types: Embedding | None = None
    norm: Norm | None = None
    project: Projection | None = None
    buffers: tuple[StorageItem, ...] = ()

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.buffers

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of what it takes besides tokens."""
        return (TYPES,) if self.types else ()

    def numbers(self, name: str) -> int:
        """How many numbers each token has of such an input."""
        del name
        return 1

    def checked(self, inputs: Inputs) -> None:
        """Hold inputs against the tables.

        Raises:
            UsageError: one is outside of its table.
        """
        types = self.types
        if types and TYPES in inputs and not ((inputs[TYPES] >= 0) & (inputs[TYPES] < int(types.rows))).all():
            raise UsageError(f"{TYPES} are outside the table of {types.rows:,} types")

    def equation(self, x: str = "") -> str:
        tables = (table for table in (self.words, self.positions, self.types) if table is not None)
        total = " + ".join(table.equation(x if table is self.words else "") for table in tables)
        total = f"{self.norm.word}({total})" if self.norm else total
        return self.project.equation(f"({total})") if self.project else total

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to [T, width of the layers]."""
        total = self.looked_up(x, at)
        if self.types:
            types = at.run.inputs.get(TYPES)
            total = total + at.call(self.types, x.new_zeros(x.shape) if types is None else types.flatten().long())
        if self.positions:
            total = total + at.call(self.positions, at.run.positions)
        total = self.more(total, at)
        total = at.call(self.norm, total) if self.norm else total
        return at.call(self.project, total) if self.project else total

    def looked_up(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to the rows [T, D] of the words."""
        return at.call(self.words, x)

    def more(self, total: torch.Tensor, at: At) -> torch.Tensor:
        """The sum [T, D] with what else enters it: nothing, but of pages (LayoutLM)."""
        del at
        return total


class Encoder(Component, frozen=True, kw_only=True):
    """Embeddings, the blocks in order of depth, a last norm; `pooler` makes one vector of a sequence.

    `before` leaves what all layers share: tables of relative positions. Where layers share their weights, `order` has
    the number of the block that each layer is (ALBERT).
    """

    embeddings: TokenEmbeddings
    before: Component | None = None
    blocks: tuple[Repeat, ...]
    final_norm: Norm | None = None
    depth: int
    order: tuple[int, ...] | None = None
    pooler: EncoderHead | None = None

    def token_layers(self) -> Layers:
        words, project = self.embeddings.words, self.embeddings.project
        return Layers(self.depth, project.outputs if project else words.width, words.rows, self.blocks)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to [T, width]."""
        hidden = at.call(self.embeddings, x)
        at.stage("embeddings", self.embeddings.equation(), hidden)
        hidden = at.call(self.before, hidden) if self.before else hidden
        hidden = run_layers(self.blocks, hidden, at, last=at.run.last, order=self.order)
        if self.final_norm:
            hidden = at.call(self.final_norm, hidden)
            at.stage("final norm", self.final_norm.equation(), hidden)
        return hidden


class EncoderModel(Runnable, frozen=True, kw_only=True):
    """An encoder and its heads; what the first of them gives comes out, without one the last hidden states.

    `extras` are parts that a checkpoint may have and the model runs without. Where `padding` is given, only tokens
    other than it have positions (RoBERTa). A `causal` one predicts the next token. `tasks` are LoRAs among its own
    weights, by the task's name.
    """

    encoder: Encoder
    heads: tuple[EncoderHead, ...] = ()
    extras: tuple[Component, ...] = ()
    causal: bool = False
    padding: int | None = None
    tasks: tuple[tuple[str, InnerAdapter], ...] = ()

    @property
    def takes(self) -> tuple[str, ...]:
        return (*self.encoder.embeddings.takes, MASK)

    @property
    def words(self) -> Embedding:
        return self.encoder.embeddings.words

    @property
    def learned(self) -> Embedding | None:
        return self.encoder.embeddings.positions

    @property
    def layers(self) -> int:
        return self.encoder.depth

    def inner_adapter(self, task: str, inputs: Inputs) -> InnerAdapter | None:
        if not task or not self.tasks:
            return super().inner_adapter(task, inputs)
        known = dict(self.tasks)
        if task not in known:
            raise UsageError(f"this model has no LoRA for {task!r:.60}", hint=f"it has {', '.join(known)}")
        return known[task]

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        for name, values in inputs.items():
            if values.numel() != len(tokens) * self.encoder.embeddings.numbers(name):
                raise UsageError(f"{name} has shape {list(values.shape)} for {len(tokens):,} tokens")
        if MASK in inputs and not inputs[MASK].bool().all():
            raise UsageError(
                "attention_mask hides tokens: one sequence needs no padding", hint="leave those tokens out"
            )
        self.encoder.embeddings.checked(inputs)

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """Counted from 0, or of the tokens that are no padding; padding itself has the row before them."""
        if self.padding is None:
            return super().positions_of(tokens, inputs)
        return beside_padding(tokens, self.padding)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to what the first head gives, or to the last hidden states [T, width]."""
        inner = at.below(self.encoder)
        hidden = self.encoder.forward(x, inner)
        vectors = {"tokens": hidden, "first": hidden[:1], "last": hidden[-1:], "mean": hidden.mean(0, keepdim=True)}
        if (pooler := self.encoder.pooler) is not None and not pooler.auxiliary:
            vectors["pooled"] = inner.call(pooler, vectors[pooler.of])
            at.stage("pooled", pooler.equation(), vectors["pooled"])
        out = hidden
        for number, head in enumerate(self.heads):
            place = at.below(head)
            if isinstance(head, MaskedHead):
                made = head.score(hidden, place, self.words, inner.below(self.encoder.embeddings).below(self.words))
            else:
                made = head.forward(vectors[head.of], place)
            at.stage(head.word, head.equation(), made)
            out = made if number == 0 else out
        return out

    @property
    def logits_of(self) -> Predicts:
        if not (self.heads and isinstance(self.heads[0], MaskedHead)):
            return ""
        return "next" if self.causal else "same"
