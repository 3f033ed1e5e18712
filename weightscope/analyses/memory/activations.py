"""An estimate of what lives at once during a pass: the widest part of a layer, or the head's logits.

It follows how transformers' modules compute without gradients and without materialized scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from weightscope.analyses.memory.dtypes import byte_count
from weightscope.analyses.memory.kept import keeps, runnable_of
from weightscope.analyses.memory.layers import Widest, layers_of
from weightscope.analyses.memory.measured import PASSES, language_type, unmeasured_recurrence, widths_of
from weightscope.analyses.memory.state import Sizing
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component
from weightscope.components.embedding import Head
from weightscope.components.live import Widths
from weightscope.components.walk import find

# Beside the part of a layer that computes: the embeddings, the layer's input, and the same normed first.
STREAMS = 3


class Activations(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes beside weights and state; an estimate.

    Attributes:
        prefill: at the peak of a pass over the whole context of the batch.
        decode: at the peak of one decode step.
        widest: the part of a layer, or `head`, at which the pass has its peak.
        formula: how the figure comes about.
    """

    prefill: int
    decode: int
    widest: str
    formula: str


def activations(subject: Subject, sizing: Sizing, *, in_llama_cpp: bool) -> tuple[Activations | None, str]:
    """The estimate, and why a model that writes has none; one that does not write has neither."""
    runnable = runnable_of(subject)
    if runnable is None or runnable.writer is None or subject.config is None:
        return None, ""
    if in_llama_cpp:
        return None, "llama.cpp plans its buffers itself"
    parts = list(find(runnable.writer, Component))
    model_type = language_type(subject.config)
    widths = widths_of(model_type, _elements_of_float32(sizing.dtype))
    if why := _unestimated(parts, model_type, widths):
        return None, why
    if runnable.words is None:
        return None, ""
    head = next(find(runnable, Head), None)
    stacks = (layers for part in parts if (layers := part.token_layers()))
    width = int(next((layers.width for layers in stacks), runnable.words.width))
    moments = [
        Widest(live, part.word) for part in parts for live in part.live(widths) if sizing.batch > 1 or not live.several
    ]
    streams = STREAMS - any(part.norms_after for part in parts) + (runnable.learned is not None)
    passing, step = (layers_of(moments, width, streams, tokens) for tokens in (sizing.context, 1))
    prefill, widest = passing.peak(sizing.context, sizing.context)
    decode, _ = step.peak(1, sizing.context)
    vocabulary = int(head.vocabulary) if head else 0
    logits = width * sizing.context + vocabulary
    estimate = Activations(
        prefill=byte_count(sizing.batch * max(prefill, logits), sizing.dtype),
        decode=byte_count(sizing.batch * max(decode, width + vocabulary), sizing.dtype),
        widest=widest.word if prefill > logits else "head",
        formula=f"the larger of {passing.formula(widest)} and tokens · {width:,} + batch · {vocabulary:,},"
        f" times {byte_count(1, sizing.dtype)} bytes",
    )
    return estimate, ""


def _unestimated(parts: Sequence[Component], model_type: str, widths: Widths) -> str:
    """Why these parts have no estimate; empty where they have one."""
    if why := unmeasured_recurrence(parts):
        return why
    if any(keeps(part, "cross_keys_and_values") for part in parts):
        return "layers that look at what an encoder makes were not measured"
    if model_type not in PASSES:
        return f"a pass of {model_type} was not measured"
    unknown = next((part for part in parts if part.keeps() and not part.live(widths)), None)
    return f"{unknown.word} of this kind was not measured in {model_type}" if unknown else ""


def _elements_of_float32(dtype: str) -> int:
    """How many elements of the computation one of float32 takes."""
    return max(1, byte_count(1, "F32") // byte_count(1, dtype))
