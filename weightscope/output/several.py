"""The documents of several MODELs as one result."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from weightscope.output.document import Column, Document, Table
from weightscope.output.write import Format, emit, put, render

MODEL = Column(title="Model")


def emit_all(
    documents: Sequence[tuple[str, Document]],
    format: Format,
    output: Path | None,
    protected: Iterable[Path] = (),
    *,
    last: Sequence[Document] = (),
    paged: bool = False,
) -> None:
    """Write what was found of each MODEL, (reference, document), and then, for people, what is said `last` of all.

    One MODEL is written as it is. Of several, JSON has an object each under `models`, and CSV a first column that names
    the MODEL.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (a model's own).
    """
    if len(documents) == 1 and not last:
        emit(documents[0][1], format, output, protected, paged=paged)
        return
    if format is Format.JSON:
        from weightscope.output.streamed import whole

        data = {"schema_version": 1, "models": [whole(document.data) for _, document in documents]}
        put(render(msgspec.structs.replace(documents[0][1], data=data), format), output, protected)
        return
    if format is Format.CSV:
        put(render(_joined(documents), format), output, protected)
        return
    shown = [*(document for _, document in documents), *last]
    if format is Format.TABLE and output is None:
        for number, document in enumerate(without_repeats(shown)):
            sys.stdout.write("\n" if number else "")
            emit(document, format, None)
        return
    put(one_after_another(shown, format), output, protected)


def one_after_another(documents: Iterable[Document], format: Format) -> str:
    """The documents as one text, with each note and hint where it first comes."""
    return "\n".join(render(document, format) for document in without_repeats(documents))


def without_repeats(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents with each note and hint where it first comes, and nowhere else."""
    seen: set[str] = set()
    for document in documents:
        notes = tuple(note for note in document.notes if note not in seen)
        seen.update(notes)
        findings = []
        for finding in document.findings:
            repeated = finding.hint in seen
            seen.add(finding.hint)
            findings.append(msgspec.structs.replace(finding, hint="") if repeated else finding)
        yield msgspec.structs.replace(document, notes=notes, findings=tuple(findings))


def _joined(documents: Sequence[tuple[str, Document]]) -> Document:
    """All flat tables as one; those of one command have the same columns."""
    tables = [(reference, document.records or document.table) for reference, document in documents]
    return msgspec.structs.replace(
        documents[0][1],
        records=Table(
            columns=(MODEL, *tables[0][1].columns),
            rows=tuple((reference, *row) for reference, table in tables for row in table.rows),
        ),
    )
