"""An estimate of what lives at once during a pass: the widest part of a layer, or the head's logits.

It follows how transformers' modules compute without gradients and without materialized scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from weightscope.analyses.memory.dtypes import byte_count
from weightscope.analyses.memory.kept import runnable_of
from weightscope.analyses.memory.measured import PASSES, language_type, widths_of
from weightscope.analyses.memory.state import Sizing
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component
from weightscope.components.embedding import Head
from weightscope.components.live import Live, Widths
from weightscope.components.walk import find

# Beside the part of a layer that computes: the embeddings, the layer's input, and the same normed.
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
    width = int(runnable.words.width)
    moments = [
        _Widest(live, part.word) for part in parts for live in part.live(widths) if sizing.batch > 1 or not live.several
    ]
    layers = _Layers.of(moments, width, width if runnable.learned else 0)
    prefill, widest = layers.peak(sizing.context, sizing.context)
    decode, _ = layers.peak(1, sizing.context)
    vocabulary = int(head.vocabulary) if head else 0
    logits = layers.width * sizing.context + vocabulary
    estimate = Activations(
        prefill=byte_count(sizing.batch * max(prefill, logits), sizing.dtype),
        decode=byte_count(sizing.batch * max(decode, layers.width + vocabulary), sizing.dtype),
        widest=widest.word if prefill > logits else "head",
        formula=f"the larger of {layers.formula(widest)} and tokens · {layers.width:,} + batch · {vocabulary:,},"
        f" times {byte_count(1, sizing.dtype)} bytes",
    )
    return estimate, ""


class _Widest(NamedTuple):
    """A moment, and the part of a layer that it is in."""

    live: Live
    word: str


class _Layers(msgspec.Struct, frozen=True, kw_only=True):
    """What lives in the layers of a model that is `width` wide: their moments, and what is beside them.

    That are elements of each token that stay through the pass, and of each pair of a token that goes through and one
    that it may see `masks`, and `shares` that stay through a layer.
    """

    width: int
    stays: int
    moments: tuple[_Widest, ...]
    masks: int
    shares: int

    @classmethod
    def of(cls, moments: Sequence[_Widest], width: int, positions: int) -> _Layers:
        """The layers with these moments, in which so many elements of each token are of its learned position."""
        return cls(
            width=width,
            stays=positions + sum(moment.live.stays for moment in moments),
            moments=tuple(moments),
            masks=len({moment.live.mask for moment in moments if moment.live.pairs}),
            shares=max(moment.live.shares for moment in moments),
        )

    def peak(self, tokens: int, seen: int) -> tuple[int, _Widest]:
        """The most elements, and at what, of one sequence of which so many tokens go through and so many are seen."""

        def elements(moment: _Widest) -> int:
            live = moment.live
            return tokens * (self._each(live) + seen * self._pairs(live)) + seen * live.seen

        widest = max(self.moments, key=elements)
        return elements(widest), widest

    def formula(self, widest: _Widest) -> str:
        """The same in words, where all tokens go through at once."""
        live = widest.live
        each = f"tokens · ({STREAMS} · {self.width:,} + {self.stays + live.elements + live.seen:,})"
        pairs = self._pairs(live)
        return f"{each} + tokens · context · {pairs:,}" if pairs else each

    def _each(self, live: Live) -> int:
        return STREAMS * self.width + self.stays + live.elements

    def _pairs(self, live: Live) -> int:
        return self.masks + max(live.pairs, self.shares)


def _unestimated(parts: Sequence[Component], model_type: str, widths: Widths) -> str:
    """Why these parts have no estimate; empty where they have one."""
    recurrent = next(filter(_is_recurrent, parts), None)
    if recurrent is not None:
        return f"{recurrent.word} layers need far more in plain torch than in their GPU kernels"
    if model_type not in PASSES:
        return f"a pass of {model_type} was not measured"
    unknown = next((part for part in parts if part.keeps() and not part.live(widths)), None)
    return f"{unknown.word} of this kind was not measured in {model_type}" if unknown else ""


def _is_recurrent(part: Component) -> bool:
    return any(state.kind == "recurrence" for state in part.keeps() or ())


def _elements_of_float32(dtype: str) -> int:
    """How many elements of the computation one of float32 takes."""
    return max(1, byte_count(1, "F32") // byte_count(1, dtype))
