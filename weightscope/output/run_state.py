"""The state of a training run, in the lines above a table."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.summary import Summary
from weightscope.output import words

_KINDS = {
    "optimizer": "optimizer state",
    "master_weights": "master weights",
    "working_weights": "16-bit copies of the weights",
    "random_state": "random states",
    "other": "other tensors",
}
MOST_MOMENTS = 4


def lines(summary: Summary, *, exact: bool = False) -> Iterator[tuple[str, str]]:
    """How far the run is, and what lies beside the weights, as (label, text)."""
    training = summary.training
    if training is None:
        return
    ranks = training.world_size
    far = [
        training.writer or "",
        f"step {training.step:,}" if training.step is not None else "",
        f"epoch {training.epoch:g}" if training.epoch is not None else "",
        words.plural(ranks, "rank") if ranks else "",
        training.optimizer or "",
    ]
    yield "Training", " · ".join(part for part in far if part) or "state of a training run"
    for number, kind in enumerate(dict.fromkeys(part.kind for part in training.parts)):
        parts = [part for part in training.parts if part.kind == kind]
        size = words.size(sum(part.bytes for part in parts), exact=exact)
        moments = list(dict.fromkeys(moment for part in parts for moment in part.moments))
        more = " …" if len(moments) > MOST_MOMENTS else ""
        shown = f" ({', '.join(moments[:MOST_MOMENTS])}{more})" if moments else ""
        yield "" if number else "Beside", f"{_KINDS.get(kind, kind)} {size}{shown}"
