"""The document of `weightscope inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.analyses.accounting import ComponentShare, RoleShare
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.columns import BYTES, COMPONENT, PARAMETERS, ROLE, SHARE, TENSORS, mark
from weightscope.output.document import Cell, Column, Document, Table, Weight
from weightscope.output.facts import facts, state_facts, subtitle, title
from weightscope.roles import Section

if TYPE_CHECKING:
    from weightscope.analyses.memory.state import DecodeState

# Beside the model itself, and as long as a layer of it: a row says enough, and `params --by role` the rest.
FOLDED = {Section.MTP}

# What declares a model that has no config.json, by its format.
SETTINGS = {"gguf": "the metadata", "megatron": "the run's arguments"}


def inspect_document(summary: Summary, state: DecodeState | None = None, *, exact: bool = False) -> Document:
    """The breakdown by component, with what the model is above it, and what it keeps of each token."""
    rows, weights = _component_rows(summary.components)
    return Document(
        data=summary,
        title=title(summary),
        subtitle=subtitle(summary, exact=exact),
        facts=(*facts(summary, exact=exact), *(state_facts(state, exact=exact) if state else ())),
        table=Table(columns=(COMPONENT, ROLE, TENSORS, PARAMETERS, SHARE), rows=rows, weights=weights, bars=True),
        records=_records(summary.components),
        notes=summary.model.notes,
        findings=summary.findings,
        closing=_closing(summary),
        exact=exact,
    )


def _closing(summary: Summary) -> str:
    tensors, model = summary.tensors, summary.model
    if model.format == "config":
        return "Counted from config.json alone; no weights were read."
    if summary.adapter is not None:
        return f"{tensors.recognized:,} of {tensors.total:,} tensors recognized."
    if not model.recognized:
        return f"{words.plural(tensors.total, 'tensor')}; roles marked ~ are guessed from names."
    text = f"{tensors.recognized:,} of {tensors.total:,} tensors recognized."
    serious = [finding for finding in summary.findings if finding.severity != "info"]
    if model.format == "index":
        return (
            f"{text} Names match config.json; shapes were not checked, because an index has none."
            if not serious
            else text
        )
    return text if serious else f"{text} Names and shapes match {SETTINGS.get(model.format, 'config.json')}."


def _component_rows(
    components: tuple[ComponentShare, ...],
) -> tuple[tuple[tuple[Cell, ...], ...], tuple[Weight, ...]]:
    """A row a component, and a row a role below it where it has several."""
    rows: list[tuple[Cell, ...]] = []
    weights: list[Weight] = []
    for component in components:
        roles = component.roles
        folded = len(roles) > 1 and component.component in FOLDED
        name = f"{len(roles):,} roles" if folded else mark(roles[0].role, inferred=roles[0].inferred)
        amounts = (component.tensors, component.parameters, component.share)
        rows.append((component.component, name if folded or len(roles) == 1 else "", *amounts))
        weights.append("strong")
        for role in () if folded or len(roles) == 1 else roles:
            share = _share(component, role)
            rows.append(("", mark(role.role, inferred=role.inferred), role.tensors, role.parameters, share))
            weights.append("plain")
    return tuple(rows), tuple(weights)


def _share(component: ComponentShare, role: RoleShare) -> float | None:
    if component.share is None or component.parameters is None or role.parameters is None:
        return None
    return component.share * role.parameters / component.parameters if component.parameters else 0.0


def _records(components: tuple[ComponentShare, ...]) -> Table:
    return Table(
        columns=(COMPONENT, ROLE, TENSORS, PARAMETERS, SHARE, BYTES, Column(title="Inferred")),
        rows=tuple(
            (
                component.component,
                role.role,
                role.tensors,
                role.parameters,
                _share(component, role),
                role.bytes,
                str(role.inferred).lower(),
            )
            for component in components
            for role in component.roles
        ),
    )
