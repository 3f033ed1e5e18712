"""The findings about an opened model: of its headers at a glance, and of all rules; of a pipeline, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.glance import glance
from weightscope.api.sentences import sentence_findings
from weightscope.checkpoint.reader import Progress
from weightscope.errors import UsageError
from weightscope.findings import Finding

if TYPE_CHECKING:
    from weightscope.analyses.memory.report import Memory
    from weightscope.api.model import Model

Examined = tuple[tuple[Finding, ...], int]


def glanced(model: Model) -> tuple[Finding, ...]:
    """What `inspect` says: what opening told, and the rules that headers answer at a glance."""
    found = _of_adapter(model) if model.adapter else said(model, glance(model.subject()))
    return (*model.checkpoint.findings, *model.notices, *found)


def examined(model: Model, *, values: bool, seen: bool = False, progress: Progress | None = None) -> Examined:
    """The findings of `check`, and how many rules were applied.

    If `stats` has `seen` all values, what it says of them is left to it, and only what compares weights is read again.

    Raises:
        UsageError: values are asked for, and there are none.
    """
    from weightscope.analyses.checking import run_adapter_rules, run_rules

    # Of a folder without weights, that is a finding; of an index or a config alone, values cannot be meant.
    if values and not model.checkpoint.whole and model.checkpoint.format in ("index", "config"):
        raise UsageError("--values needs weights, and there are none here", where=model.reference)
    if model.parts:
        return _of_parts(model, values=values, seen=seen, progress=progress)
    if model.adapter:
        subject, found = model.subject(), _of_adapter(model)
        findings, rules = run_adapter_rules(subject, found, values=values, seen=seen, progress=progress)
    else:
        if values:
            model.compare_tied_values(progress)
        findings, rules = run_rules(model.subject(), values=values, seen=seen, progress=progress)
        beside = sentence_findings(model.checkpoint, values=values, seen=seen, progress=progress)
        findings = (*said(model, findings), *beside)
    # Without a declaration or a config nothing can be held against anything, and that is no pass.
    unchecked = [
        msgspec.structs.replace(notice, severity="error") if notice.severity == "warning" else notice
        for notice in model.notices
    ]
    return (*model.checkpoint.findings, *unchecked, *findings), rules


def said(model: Model, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings in the words of the file that holds the settings."""
    if model.checkpoint.format != "gguf":
        return tuple(findings)
    from weightscope.gguf.words import of_metadata

    return of_metadata(findings, _architecture(model))


def said_of_memory(model: Model, memory: Memory) -> Memory:
    """What is said of memory, in the words of the file that holds the settings."""
    if model.checkpoint.format != "gguf":
        return memory
    from weightscope.gguf.words import in_metadata

    architecture = _architecture(model)
    source = in_metadata(memory.asked.context_source, architecture)
    return msgspec.structs.replace(
        memory,
        asked=msgspec.structs.replace(memory.asked, context_source=source),
        notes=tuple(in_metadata(note, architecture) for note in memory.notes),
    )


def _architecture(model: Model) -> str:
    """What a GGUF file calls its architecture."""
    from weightscope.gguf.opening import described

    metadata = described(model.checkpoint)
    return metadata.architecture if metadata else ""


def _of_parts(model: Model, *, values: bool, seen: bool, progress: Progress | None) -> Examined:
    """The findings of each model of a pipeline, under its name."""
    findings, rules = list(model.checkpoint.findings), 0
    for name, part in model.parts.items():
        found, applied = examined(part, values=values, seen=seen, progress=progress)
        findings += (msgspec.structs.replace(each, message=f"{name}: {each.message}") for each in found)
        rules += applied
    return tuple(findings), rules


def _of_adapter(model: Model) -> tuple[Finding, ...]:
    """The findings of an adapter's own rules, with its base where that is here."""
    from weightscope.analyses.rules.adapter_subject import AdapterSubject
    from weightscope.analyses.rules.adapters import check_adapter

    assert model.adapter
    base, name = (model.base.base_weights, model.base.reference) if model.base else (None, "")
    subject = AdapterSubject(adapter=model.adapter, checkpoint=model.checkpoint, base=base, base_name=name)
    return check_adapter(subject)
