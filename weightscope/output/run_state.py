"""The state of a training run, in the lines above a table."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.checkpoint.training import Part, Training
from weightscope.output import words

_KINDS = {
    "optimizer": "optimizer state",
    "master_weights": "master weights",
    "working_weights": "16-bit copies of the weights",
    "random_state": "random states",
    "other": "other tensors",
}


def lines(training: Training, *, exact: bool = False) -> Iterator[tuple[str, str]]:
    """How far the run is, and what lies beside the weights, as (label, text)."""
    ranks = training.world_size
    far = [
        training.writer or "",
        f"step {training.step:,}" if training.step is not None else "",
        f"epoch {training.epoch:g}" if training.epoch is not None else "",
        words.plural(ranks, "rank") if ranks else "",
        training.optimizer or "",
    ]
    yield "Training", " · ".join(part for part in far if part) or "state of a training run"
    merged: dict[str, list[Part]] = {}
    for part in training.parts:
        merged.setdefault(part.kind, []).append(part)
    for number, (kind, parts) in enumerate(merged.items()):
        size = words.size(sum(part.bytes for part in parts), exact=exact)
        moments = list(dict.fromkeys(moment for part in parts for moment in part.moments))
        shown = f" ({', '.join(moments[:4])}{' …' if len(moments) > 4 else ''})" if moments else ""
        yield "" if number else "Beside", f"{_KINDS.get(kind, kind)} {size}{shown}"
