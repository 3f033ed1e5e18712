"""What a treemap draws: kinds of tensors with ranges of numbers, not a row a tensor, and what is found about them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from weightscope.analyses.alike import Alike, alike
from weightscope.analyses.explaining import config_terms, layout_of, notes_on
from weightscope.analyses.groups import Group
from weightscope.analyses.marking import Marks, marked, marks_of
from weightscope.analyses.other_names import other_names
from weightscope.analyses.rules.subject import Subject
from weightscope.components.walk import Slot
from weightscope.findings import Finding
from weightscope.ranges import Run, before, runs
from weightscope.storage.base import Kind

Runs = tuple[Run, ...]
# Sets of tensors that are sent; the largest published model has some two hundred.
MOST = 4_000
# What is stored and is no weight is in no component of the table.
BUFFERS = "buffers"


class TensorKind(msgspec.Struct, frozen=True, kw_only=True):
    """Tensors that differ only in their numbers. `layer` is which of the numbers is the layer's, None for none.

    `others` are templates of other names, as transformers or the file has them. `stack` is what stands before the
    first number. `terms` are those of the roles, `shape_terms` the config's.
    """

    template: str
    others: tuple[str, ...]
    component: str
    roles: tuple[str, ...]
    kind: str
    layer: int | None
    stack: str
    terms: tuple[str, ...]
    shape_terms: tuple[str, ...]
    equation: str
    layout: str
    notes: tuple[str, ...]
    inferred: bool


class TensorSet(msgspec.Struct, frozen=True, kw_only=True):
    """Tensors of a kind that have the same dtype and shape: one for each combination of `ranges`, runs of numbers.

    `parameters` and `bytes` are those of all together, a number for each role; `parameters` is None where nothing
    tells them. `findings` are places in the list of findings, each with the runs of layers that it names, None for all.
    """

    kind: int
    ranges: tuple[Runs, ...]
    dtype: str | None
    shape: tuple[int, ...] | None
    tensors: int
    parameters: tuple[int, ...] | None
    bytes: tuple[int, ...]
    findings: tuple[tuple[int, Runs | None], ...] = ()


class Treemap(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to draw. `left_out` are tensors in sets that are too many to send.

    `auxiliary` are the parameters in it that the model's total leaves out.
    """

    kinds: tuple[TensorKind, ...]
    sets: tuple[TensorSet, ...]
    left_out: int = 0
    auxiliary: int = 0


def treemap(subject: Subject, findings: Sequence[Finding]) -> Treemap:
    """The model's tensors by component, role and layer, and which of them the findings name."""
    groups = subject.inventory.counted
    marks = marks_of(subject, findings)
    sets = [(place, each) for place, group in enumerate(groups) for each in alike(group, subject.checkpoint.tensors)]
    largest = sorted(sets, key=lambda item: max(item[1].parameters, item[1].bytes), reverse=True)[:MOST]
    kept = sorted(largest, key=lambda item: item[0])
    slots, others = _slots(subject), other_names(subject.declaration, subject.inventory, subject.checkpoint)
    kinds: list[TensorKind] = []
    numbers: dict[int, int] = {}
    drawn: list[TensorSet] = []
    for place, each in kept:
        if place not in numbers:
            numbers[place] = len(kinds)
            template = each.group.template
            kinds.append(_kind(each.group, slots.get(template), subject, others.get(template, ())))
        drawn.append(_set(numbers[place], each, subject, marks))
    left_out = sum(each.tensors for _, each in sets) - sum(each.tensors for each in drawn)
    auxiliary = subject.parameters.auxiliary or 0
    return Treemap(kinds=tuple(kinds), sets=tuple(drawn), left_out=left_out, auxiliary=auxiliary)


def _slots(subject: Subject) -> dict[str, Slot]:
    return {slot.template: slot for slot in subject.declaration.slots} if subject.declaration else {}


def _kind(group: Group, slot: Slot | None, subject: Subject, others: tuple[str, ...]) -> TensorKind:
    owner = slot.owner if slot and not group.inferred else None
    terms = owner.terms() if owner else {}
    name = next((name for name, _ in group.numbered()), group.template)
    return TensorKind(
        template=group.template,
        others=others,
        component=BUFFERS if group.kind is Kind.BUFFER else str(group.section),
        roles=tuple(map(str, group.roles)),
        kind=str(group.kind),
        layer=group.layer_place,
        stack=before(group.template).rstrip(".") if group.ranges else "",
        terms=tuple(terms[role] for role in group.roles if role in terms),
        shape_terms=config_terms(group.shape or ()),
        equation=owner.equation() if owner and group.kind is not Kind.BUFFER else "",
        layout=layout_of(slot) if owner else "",
        notes=tuple(notes_on(name, group, slot, subject.tying)),
        inferred=group.inferred,
    )


def _set(kind: int, each: Alike, subject: Subject, marks: Marks) -> TensorSet:
    group = each.group
    counted = each.counted(subject.tying)
    place = group.layer_place
    layers = () if place is None else each.ranges[place]
    named = marked(marks, group.template, layers)
    return TensorSet(
        kind=kind,
        ranges=tuple(map(runs, each.ranges)),
        dtype=each.dtype,
        shape=each.shape,
        tensors=each.tensors,
        parameters=None if counted is None else tuple(count for _, count in group.shares(counted)),
        bytes=tuple(count for _, count in group.shares(each.bytes)),
        findings=tuple((place, None if some is None else runs(some)) for place, some in named.items()),
    )
