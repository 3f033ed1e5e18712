"""The document of `weightscope tensors`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weightscope.analyses.inventory import Group
from weightscope.analyses.listing import TensorRow
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.views import BYTES, PARAMETERS, ROLE, TENSORS, subtitle, title
from weightscope.ranges import columns as numbers_of
from weightscope.ranges import fill, number_of, spell, template_of

NAME = Column(title="Name", kind="name")
SHAPE, DTYPE, FILE = Column(title="Shape"), Column(title="Dtype"), Column(title="File")
RECORDS = (NAME, Column(title="Component"), ROLE, Column(title="Kind"), DTYPE, SHAPE, PARAMETERS, BYTES)


def tensors_document(
    summary: Summary, listed: list[tuple[Group, TensorRow]], *, total: int, expand: bool = False
) -> Document:
    """One row a tensor, or for people one row for all that differ only in their numbers."""
    rows = [row for _, row in listed]
    return Document(
        data={"schema_version": 1, "model": summary.model, "tensors": rows},
        title=title(summary),
        subtitle=subtitle(summary),
        facts=(),
        table=_each(rows, files=len(summary.files)) if expand else _grouped(listed, files=len(summary.files)),
        records=_records(rows),
        closing=f"{len(rows):,} of {words.plural(total, 'tensor')}."
        if total
        else f"{words.plural(len(rows), 'tensor')} that the config describes.",
    )


def _each(rows: list[TensorRow], files: int) -> Table:
    columns = (NAME, ROLE, SHAPE, DTYPE, FILE)
    lines = [(r.name, _roles(r), _shape(r.shape), r.dtype, r.file) for r in rows]
    return _table(columns, lines, files)


def _grouped(listed: list[tuple[Group, TensorRow]], files: int) -> Table:
    groups: dict[tuple[object, ...], list[TensorRow]] = {}
    for group, row in listed:
        groups.setdefault((id(group), row.shape, row.dtype), []).append(row)
    lines: list[tuple[Cell, ...]] = []
    for members in groups.values():
        first = members[0]
        template = template_of(first.name)[0]
        name = fill(template, numbers_of(template_of(row.name)[1] for row in members))
        place = _files(row.file for row in members)
        lines.append((name, _roles(first), len(members), _shape(first.shape), first.dtype, place))
    return _table((NAME, ROLE, TENSORS, SHAPE, DTYPE, FILE), lines, files)


def _table(columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]], files: int) -> Table:
    """Without the file's column where there is but one file."""
    width = len(columns) if files > 1 else len(columns) - 1
    return Table(columns=columns[:width], rows=tuple(row[:width] for row in rows))


def _files(names: Iterable[str | None]) -> str | None:
    """One file by name, several as their numbers."""
    files = sorted({name for name in names if name})
    if len(files) < 2:
        return files[0] if files else None
    numbers = [n for name in files if (n := _shard_number(name)) is not None]
    return f"shards {spell(numbers)}" if len(numbers) == len(files) else f"{len(files):,} files"


def _shard_number(name: str) -> int | None:
    head = name.partition("-of-")[0]
    digits = head[len(head.rstrip("0123456789")) :]
    return number_of(digits.lstrip("0") or digits[:1])


def _roles(row: TensorRow) -> str:
    text = " + ".join(row.roles) + ("" if row.kind == "weight" else f" {row.kind}")
    return f"{text} ~" if row.inferred else text


def _shape(shape: tuple[int, ...] | None) -> str | None:
    return None if shape is None else f"[{', '.join(map(str, shape))}]"


def _records(rows: list[TensorRow]) -> Table:
    return Table(
        columns=(*RECORDS, Column(title="Layer"), FILE, Column(title="Inferred")),
        rows=tuple(
            (
                r.name,
                r.component,
                "+".join(r.roles),
                r.kind,
                r.dtype,
                _shape(r.shape),
                r.parameters,
                r.bytes,
                r.layer,
                r.file,
                str(r.inferred).lower(),
            )
            for r in rows
        ),
    )
