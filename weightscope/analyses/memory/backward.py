"""An estimate of what a training step keeps of its forward pass until the backward pass has used it.

It follows how transformers' modules, and PEFT's beside them, compute without materialized scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from weightscope.analyses.memory.kept import runnable_in
from weightscope.analyses.memory.learning import Learning
from weightscope.analyses.memory.measured import STEPS, language_type, widths_of
from weightscope.brief import brief
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Head
from weightscope.components.step import Step
from weightscope.components.walk import find
from weightscope.config import Config
from weightscope.families.declaration import Declaration

# Logits, what the loss keeps of them, and their gradient, in float32.
LOGITS = 3
# Beside what computes in a layer of which nothing is kept: the embeddings, the layer's input, and the same normed.
STREAMS = 3
# Dropout of a classifier's head, which configs of language models name too.
NO_TEXT = ("classifier_dropout",)


class StepActivations(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak of a training step beside weights, gradients and optimizer state; an estimate.

    Attributes:
        kept: where the forward pass keeps all that the backward pass needs.
        checkpointed: where it keeps each layer's input alone and computes the layer again.
    """

    kept: int
    checkpointed: int

    __repr__ = brief


class Computing(msgspec.Struct, frozen=True, kw_only=True):
    """How a step computes.

    `tokens` go through it, in elements of `size` bytes; those of adapters have `adapter_size`. Matrices that are not
    trained are `quantized`.
    """

    tokens: int
    size: int
    adapter_size: int
    quantized: bool


def step_activations(
    declaration: Declaration, learning: Learning, computing: Computing
) -> tuple[StepActivations | None, str]:
    """The estimate, and why there is none."""
    model_type = language_type(declaration.config)
    if declaration.contained:
        return None, "transformers trains no GGUF file"
    model = _language_model(declaration)
    if model is None or model_type not in STEPS:
        return None, f"a training step of {declaration.family.model_type} was not measured"
    if not isinstance(model.head, Head):
        return None, "a training step without a head over the vocabulary was not measured"
    if dropout := _dropout(declaration.config):
        return None, f"a training step with {dropout} was not measured"
    step = Step(
        widths=widths_of(model_type, 4 // computing.size),
        learned=learning.ends,
        flows=learning.senses,
        adapter=computing.adapter_size // computing.size,
        quantized=computing.quantized,
    )
    layers = list(_layers(model.decoder, learning, step))
    if not layers or any(layer.kept is None for layer in layers):
        return None, f"what a layer of {model_type} keeps for the backward pass is not known"
    return _Estimate(model.head, model.decoder, layers, step, computing, declaration.tied).peaks(), ""


def _language_model(declaration: Declaration) -> CausalLM | None:
    """The part that writes; None where nothing does token by token."""
    runnable = runnable_in(declaration.tree)
    writer = runnable.writer if runnable else None
    return next(find(writer, CausalLM), None) if writer else None


def _dropout(config: Config) -> str:
    """The first kind of dropout that the config asks for; empty where it asks for none."""
    rates = {key: value for key, value in config.data.items() if key.endswith("dropout") and key not in NO_TEXT}
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
