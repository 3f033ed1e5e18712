"""An estimate of what lives at once during a pass: the widest part of a layer, or the head's logits.

It follows how transformers' modules compute without gradients and without materialized scores.
"""

from __future__ import annotations

import msgspec

from weightscope.analyses.memory.dtypes import byte_count
from weightscope.analyses.memory.kept import runnable_in
from weightscope.analyses.memory.state import Sizing
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component
from weightscope.components.embedding import Head
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


def activations(subject: Subject, sizing: Sizing) -> Activations | None:
    """The estimate; None for a model that does not write, or of whose parts one does not say what it needs."""
    runnable = runnable_in(subject.declaration.tree) if subject.declaration else None
    if runnable is None or runnable.writer is None or runnable.words is None:
        return None
    parts = list(find(runnable.writer, Component))
    if any(part.mixes() and part.live() is None for part in parts if not part.auxiliary):
        return None
    width = int(runnable.words.width)
    live, word = max(((part.live() or 0, part.word) for part in parts), default=(0, ""))
    head = next(find(runnable, Head), None)
    vocabulary = int(head.vocabulary) if head else 0

    def peak(tokens: int) -> tuple[int, str]:
        layer, logits = tokens * (STREAMS * width + live), tokens * width + sizing.batch * vocabulary
        return max((layer, word), (logits, "head"))

    prefill, widest = peak(sizing.batch * sizing.context)
    size = byte_count(1, sizing.dtype)
    return Activations(
        prefill=byte_count(prefill, sizing.dtype),
        decode=byte_count(peak(sizing.batch)[0], sizing.dtype),
        widest=widest,
        formula=f"the larger of tokens · ({STREAMS} · {width:,} + {live:,}) and tokens · {width:,} + batch ·"
        f" {vocabulary:,}, times {size} bytes",
    )
