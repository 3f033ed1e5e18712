"""Which kinds of tensors findings name, and in which layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightscope.analyses.rules.subject import Subject
from weightscope.findings import Finding
from weightscope.ranges import numbers_in

# For each template the places of the findings that name tensors of it, each with their layers; None outside of layers.
Marks = Mapping[str, Mapping[int, set[int | None]]]


def marks_of(subject: Subject, findings: Sequence[Finding]) -> Marks:
    """The marks of tensors that are stored, and of those that are missing."""
    found: dict[str, dict[int, set[int | None]]] = {}
    if not any(finding.tensors for finding in findings):
        return found
    stored = {name: group for group in subject.inventory.groups for name in group.names}
    missing = {name: slot for slot, names in subject.inventory.missing for name in names}
    for place, finding in enumerate(findings):
        for name in finding.names:
            if (group := stored.get(name)) is not None:
                template, layer = group.template, group.layer_of(name)
            elif (slot := missing.get(name)) is not None:
                numbers = numbers_in(slot.template, name)
                template, layer = slot.template, numbers[0] if numbers else None
            else:
                continue
            found.setdefault(template, {}).setdefault(place, set()).add(layer)
    return found


def marked(marks: Marks, template: str, layers: Sequence[int]) -> dict[int, list[int] | None]:
    """The places of the findings about a template in some layers, each with those that it names; None for all."""
    found: dict[int, list[int] | None] = {}
    for place, named in marks.get(template, {}).items():
        own = [layer for layer in layers if layer in named]
        if None in named or len(own) == len(layers):
            found[place] = None
        elif own:
            found[place] = own
    return found
