"""An estimate of what a training step keeps of its forward pass until the backward pass has used it.

It follows how transformers' modules compute, without materialized scores, where all weights are trained.
"""

from __future__ import annotations

import msgspec

from weightscope.analyses.memory.kept import runnable_in
from weightscope.analyses.memory.measured import STEPS, language_type, widths_of
from weightscope.brief import brief
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Head
from weightscope.components.live import Moment, Widths
from weightscope.config import Config
from weightscope.families.declaration import Declaration

# Logits, what the loss keeps of them, and their gradient, in float32.
LOGITS = 3
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


def step_activations(declaration: Declaration, tokens: int, size: int) -> tuple[StepActivations | None, str]:
    """Of so many tokens, computed in elements of `size` bytes; and why there is no estimate."""
    model, model_type = runnable_in(declaration.tree), language_type(declaration.config)
    if declaration.contained:
        return None, "transformers trains no GGUF file"
    if not isinstance(model, CausalLM) or model_type not in STEPS:
        return None, f"a training step of {declaration.family.model_type} was not measured"
    if not isinstance(model.head, Head):
        return None, "a training step without a head over the vocabulary was not measured"
    if dropout := _dropout(declaration.config):
        return None, f"a training step with {dropout} was not measured"
    widths, decoder = widths_of(model_type, 4 // size), model.decoder
    if not decoder.depth or any(repeat.saves(widths) is None for repeat in decoder.blocks):
        return None, f"what a layer of {model_type} keeps for the backward pass is not known"
    table = int(model.head.vocabulary) * int(decoder.embedding.width) if declaration.tied else 0
    return _estimate(model.head, decoder, tokens, size, widths, table), ""


def _estimate(head: Head, decoder: Decoder, tokens: int, size: int, widths: Widths, table: int) -> StepActivations:
    """The peaks; the head's gradient of a tied `table` waits until the embedding's is there."""
    width = int(decoder.embedding.width)
    blocks = [repeat for repeat in decoder.blocks if repeat.indices]
    last = max(blocks, key=lambda repeat: repeat.indices[-1]).child
    kept = sum(repeat.saves(widths) or 0 for repeat in blocks)
    before = kept - (last.saves(widths) or 0)
    end = _end(head, decoder, tokens, widths, table)
    any_layer = max(_backward(repeat.child, tokens, width, widths) for repeat in blocks)
    return StepActivations(
        kept=size * max(tokens * kept + end, tokens * before + _backward(last, tokens, width, widths) + table),
        checkpointed=size * (tokens * decoder.depth * width + max(end, any_layer + table)),
    )


def _dropout(config: Config) -> str:
    """The first kind of dropout that the config asks for; empty where it asks for none."""
    rates = {key: value for key, value in config.data.items() if key.endswith("dropout") and key not in NO_TEXT}
    return next((key for key, rate in rates.items() if isinstance(rate, int | float) and rate > 0), "")


def _end(head: Head, decoder: Decoder, tokens: int, widths: Widths, table: int) -> int:
    """Elements at the loss, while the head's own gradient is made, or in the backward pass through the last norm."""
    vocabulary, width = int(head.vocabulary), int(decoder.embedding.width)
    norm = decoder.final_norm
    normed = (norm.saves(widths) or 0) if norm else 0
    moments = (
        Moment(elements=LOGITS * widths.float32 * vocabulary),
        Moment(elements=vocabulary + width, weight=vocabulary * width),
        # The gradient of the embeddings, when nothing else is left; of a tied table both, and their sum.
        Moment(elements=width - normed, weight=vocabulary * width + 2 * table),
        *(Moment(elements=moment.elements, weight=table) for moment in (norm.backward(widths) if norm else ())),
    )
    return max(tokens * (normed + moment.elements) + moment.weight for moment in moments)


def _backward(layer: Component, tokens: int, width: int, widths: Widths) -> int:
    """Elements while the backward pass is in a layer: what it keeps up to the part that computes, and gradients."""
    parts = tuple(layer.children())
    # A layer may keep less than its parts: what leaves a norm and is only added, or enters two of them.
    held = (layer.saves(widths) or 0) - sum(part.saves(widths) or 0 for part in parts)
    most = 0
    for part in parts:
        held += part.saves(widths) or 0
        for moment in part.backward(widths):
            most = max(most, tokens * (held + width + moment.elements) + moment.weight)
    return most
