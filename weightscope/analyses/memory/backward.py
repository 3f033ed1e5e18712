"""An estimate of what a training step keeps of its forward pass until the backward pass has used it.

It follows how transformers' modules, and PEFT's beside them, compute without materialized scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from weightscope.analyses.memory.learning import Learning
from weightscope.analyses.memory.measured import (
    PASSES,
    SHARED_FIRST,
    STEPS,
    language_part,
    language_type,
    unmeasured_recurrence,
    widths_of,
)
from weightscope.brief import brief
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Embedding, Head
from weightscope.components.runnable import runnable_in
from weightscope.components.step import Moment, Step
from weightscope.components.walk import find
from weightscope.config import Config
from weightscope.families.declaration import Declaration

# Logits, what the loss keeps of them, and their gradient, in float32.
LOGITS = 3
# Beside what computes in a layer of which nothing is kept: the embeddings, the layer's input, and the same normed.
STREAMS = 3
# Dropout of a classifier's head, which configs of language models name too.
NO_TEXT = ("classifier_dropout", "summary_first_dropout")
DROPOUT = ("dropout", "pdrop", "layerdrop")


class StepActivations(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak of a training step beside weights, gradients and optimizer state; an estimate.

    Attributes:
        kept: where the forward pass keeps all that the backward pass needs.
        checkpointed: where it keeps each layer's input alone and computes the layer again.
    """

    kept: int
    checkpointed: int

    __repr__ = brief

    def beside(self, held: int) -> StepActivations:
        """Both with so many bytes that are held all the time."""
        return StepActivations(kept=self.kept + held, checkpointed=self.checkpointed + held)


class Computing(msgspec.Struct, frozen=True, kw_only=True):
    """How a step computes.

    `tokens` go through it, `seen` of one sequence, in elements of `size` bytes; those of adapters have `adapter_size`.
    Matrices that are not trained are `quantized`.
    """

    tokens: int
    seen: int
    size: int
    adapter_size: int
    quantized: bool


def step_activations(
    declaration: Declaration, learning: Learning, computing: Computing
) -> tuple[StepActivations | None, str]:
    """The estimate for a model of which `unmeasured` says nothing, and why there is none."""
    model, model_type = _language_model(declaration), language_type(declaration.config)
    assert model
    assert isinstance(model.head, Head)
    step = Step(
        widths=widths_of(model_type, 4 // computing.size),
        learned=learning.ends,
        flows=learning.senses,
        adapter=computing.adapter_size // computing.size,
        quantized=computing.quantized,
        shared_first=model_type in SHARED_FIRST,
        seen=computing.seen,
    )
    # For checkpointing, transformers has the gradient flow from the embeddings on, whatever is trained.
    kept, checkpointed = (
        _Estimate(
            model.head, model.decoder, list(_layers(model.decoder, learning, way)), way, computing, declaration.tied
        )
        for way in (step, replace(step, flows=True))
    )
    if not kept.layers or any(layer.kept is None for layer in (*kept.layers, *checkpointed.layers)):
        return None, f"what a layer of {model_type} keeps for the backward pass is not known"
    if model_type not in PASSES and not all(layer.is_passed_back for layer in kept.layers):
        return None, f"a pass of {model_type} through frozen layers was not measured"
    return StepActivations(kept=kept.peak(), checkpointed=checkpointed.checkpointed()), ""


def unmeasured(declaration: Declaration) -> str:
    """Why no step of this model is estimated, whatever is trained; empty where steps were measured."""
    model = _language_model(declaration)
    if declaration.contained:
        return "transformers trains no GGUF file"
    if why := unmeasured_recurrence(find(model or declaration.tree, Component)):
        return why
    if model is None or language_type(declaration.config) not in STEPS:
        return f"a training step of {declaration.family.model_type} was not measured"
    if not isinstance(model.head, Head):
        return "a training step without a head over the vocabulary was not measured"
    if dropout := _dropout(declaration.config):
        return f"a training step with {dropout} was not measured"
    return ""


def _language_model(declaration: Declaration) -> CausalLM | None:
    """The model, or the part of a wrapper that writes; None where nothing does token by token."""
    runnable = runnable_in(declaration.tree)
    if isinstance(runnable, CausalLM):
        return runnable
    writer = runnable.writer if runnable else None
    return next(find(writer, CausalLM), None) if writer else None


def _dropout(config: Config) -> str:
    """The first kind of dropout that the language model's config asks for; empty where it asks for none."""
    data = language_part(config)
    rates = {key: value for key, value in data.items() if key.endswith(DROPOUT) and key not in NO_TEXT}
    return next((key for key, rate in rates.items() if isinstance(rate, int | float) and rate > 0), "")


class _Layer(NamedTuple):
    """A layer, the step as it reaches it, and the elements of a token that it keeps."""

    block: Component
    step: Step
    kept: int | None

    @property
    def is_passed_back(self) -> bool:
        """Whether the backward pass goes through it."""
        return self.step.past(self.block).flows


def _layers(decoder: Decoder, learning: Learning, step: Step) -> Iterator[_Layer]:
    """In their order; equal ones that learn the same are asked once."""
    before = (decoder.embedding, decoder.widen, decoder.positions, decoder.embedding_norm)
    flows = step.flows or any(step.reaches(part) for part in before if part)
    blocks = {number: repeat.child for repeat in decoder.blocks for number in repeat.indices}
    asked: dict[tuple[int, int, bool], _Layer] = {}
    for number in sorted(blocks):
        learned = learning.of_layer(number)
        key = (id(blocks[number]), id(learned), flows)
        if key not in asked:
            reached = replace(step, learned=learned, flows=flows)
            asked[key] = _Layer(blocks[number], reached, blocks[number].saves(reached))
        yield asked[key]
        flows = asked[key].is_passed_back


class _Estimate(NamedTuple):
    """What the peaks of a step follow from; `step` is that of embeddings, last norm and head."""

    head: Head
    decoder: Decoder
    layers: list[_Layer]
    step: Step
    computing: Computing
    tied: bool

    @property
    def width(self) -> int:
        return int(self.decoder.embedding.width)

    @property
    def matrix(self) -> int:
        """Elements of the head's."""
        return int(self.head.vocabulary) * self.width

    @property
    def table(self) -> int:
        """Elements of the gradient of a tied head, which waits for the embedding's through all layers."""
        return self.matrix if self.tied and self._trains_head else 0

    @property
    def _trains_head(self) -> bool:
        owner = self.decoder.embedding if self.tied else self.head
        return self.step.reaches(owner)

    def peak(self) -> int:
        """Bytes where each layer keeps what its backward pass needs."""
        tokens, kept, most = self.computing.tokens, 0, max(self._forward(), self._tables())
        for layer in self.layers:
            most = max(most, tokens * kept + self._backward(layer) + self.table)
            kept += layer.kept or 0
        return self.computing.size * max(most, tokens * kept + self._end())

    def checkpointed(self) -> int:
        """Bytes where each keeps its input alone."""
        inputs = self.computing.tokens * self.width * len(self.layers)
        any_layer = max(map(self._backward, self.layers))
        return self.computing.size * max(inputs + max(self._end(), any_layer + self.table), self._tables())

    def _end(self) -> int:
        """Elements at the loss, while the head's gradient is made, or in the backward pass through the last norm."""
        vocabulary, norm, tokens = int(self.head.vocabulary), self.decoder.final_norm, self.computing.tokens
        reached = replace(self.step, flows=self.layers[-1].is_passed_back)
        normed = (norm.saves(reached) or 0) if norm else 0
        entering = self.width if self._trains_head else 0
        moments = [Moment(elements=normed + entering + LOGITS * self.step.widths.float32 * vocabulary)]
        if self._trains_head:
            moments.append(Moment(elements=normed + entering + vocabulary + self.width, weight=self.matrix))
        if norm and reached.past(norm).flows:
            moments += [Moment(elements=normed + m.elements, weight=self.table) for m in norm.backward(reached)]
        return max(tokens * moment.elements + moment.weight for moment in moments)

    def _tables(self) -> int:
        """Elements while the embeddings' gradients are made, when nothing else is left; of a tied table a sum too."""
        tables = [0]
        if self.step.reaches(self.decoder.embedding):
            tables.append(self.matrix + 2 * self.table)
        positions = self.decoder.positions
        if isinstance(positions, Embedding) and self.step.reaches(positions):
            tables.append(int(positions.rows) * int(positions.width))
        return self.computing.tokens * self.width + max(tables)

    def _backward(self, layer: _Layer) -> int:
        """Elements while the backward pass is in a layer: what it keeps up to the part that computes, and gradients."""
        if not layer.is_passed_back:
            return 0
        children = layer.block.reached_children(layer.step)
        parts = [(part, reached, part.saves(reached) or 0) for part, reached in children]
        # A layer may keep less than its parts: what enters two of them.
        held = (layer.kept or 0) - sum(kept for _, _, kept in parts)
        most = 0
        for part, reached, kept in parts:
            held += kept
            for moment in part.backward(reached) if reached.past(part).flows else ():
                elements = held + self.width + moment.elements
                most = max(most, self.computing.tokens * elements + moment.weight)
        return most

    def _forward(self) -> int:
        """Elements while the pass is in a layer of which nothing is kept."""
        passed = [layer for layer in self.layers if not layer.is_passed_back]
        parts = (part for layer in passed for part in find(layer.block, Component))
        live = max((live.elements for part in parts for live in part.live(self.step.widths)), default=0)
        return self.computing.tokens * (STREAMS * self.width + live) if passed else 0
