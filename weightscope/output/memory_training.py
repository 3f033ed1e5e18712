"""What `weightscope memory --trainable` shows: what each device holds, part by part, and what else would save."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.memory.training import CHECKPOINTING, Training
from weightscope.output import words
from weightscope.output.document import Cell, Column, Table, Weight

COLUMNS = (
    Column(title="Part"),
    Column(title="Each", kind="number"),
    Column(title="Bytes", kind="bytes"),
    Column(title="Per device", kind="bytes"),
    Column(title="Saved", kind="bytes"),
)
Line = tuple[Cell, ...]


def training_facts(training: Training, *, exact: bool) -> Iterator[tuple[str, str]]:
    """What is trained, how, and what each device holds."""
    recipe = training.recipe
    trained, frozen = (words.amount(number, exact=exact) for number in (training.trained, training.frozen))
    yield "Trained", f"{trained} parameters ({recipe.plan}), {frozen} frozen"
    how = [recipe.optimizer, f"{recipe.precision} precision"]
    if recipe.devices > 1:
        how.append(f"{recipe.devices:,} devices, ZeRO {recipe.zero}" if recipe.zero else f"{recipe.devices:,} devices")
    yield "With", " · ".join(how)
    usable = f" of {words.size(training.usable, exact=exact)}" if training.usable is not None else ""
    yield "Each holds", f"{words.size(training.per_device, exact=exact)}{usable}"
    if step := training.activations:
        kept, again = words.size(step.kept, exact=exact), words.size(step.checkpointed, exact=exact)
        yield "Activations", f"about {kept} more in a step, {again} with activation checkpointing"
    if whole := training.with_activations:
        kept, again = words.size(whole.kept, exact=exact), words.size(whole.checkpointed, exact=exact)
        yield "Together", f"about {kept} with activations, {again} with checkpointing"


def training_table(training: Training) -> Table:
    """The parts, their sum, and one change at a time."""
    lines: list[Line] = [(part.part, _each(part.each), part.bytes, part.per_device, None) for part in training.parts]
    each = sum(part.each for part in training.parts)
    lines.append(("training", _each(each), training.bytes, training.per_device, None))
    changes: list[Line] = [
        (f"or {saving.change}", "", None, saving.per_device, _saved(saving.saved))
        for saving in training.savings
        if saving.change != CHECKPOINTING
    ]
    plain: Weight = "plain"
    faint: Weight = "faint"
    weights = (*[plain] * len(training.parts), "strong", *[faint] * len(changes))
    return Table(columns=COLUMNS, rows=(*lines, *changes), weights=weights)


def training_records(training: Training) -> Table:
    """The same with plain numbers."""
    parts = ((part.part, part.each, part.bytes, part.per_device, None) for part in training.parts)
    changes = ((saving.change, None, None, saving.per_device, saving.saved) for saving in training.savings)
    return Table(columns=COLUMNS, rows=(*parts, *changes))


def training_notes(training: Training) -> Iterator[str]:
    """What the plan leaves open, and what is not counted."""
    yield from training.notes
    yield "Each is bytes of one trained parameter. The table is without activations."


def _each(number: float) -> str:
    return f"{number:.4g}" if number else ""


def _saved(number: int) -> int | None:
    """Nothing for what would take more."""
    return number if number > 0 else None
