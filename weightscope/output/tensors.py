"""The document of `weightscope tensors`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from weightscope.analyses.groups import Group
from weightscope.analyses.listing import Sort, TensorRow, sorted_by
from weightscope.analyses.summary import Summary
from weightscope.output import words
from weightscope.output.columns import BYTES, PARAMETERS, ROLE, TENSORS, mark
from weightscope.output.document import Cell, Column, Document, Table
from weightscope.output.facts import subtitle, title
from weightscope.output.streamed import Streamed
from weightscope.ranges import columns as numbers_of
from weightscope.ranges import fill

NAME = Column(title="Name", kind="name")
SHAPE, DTYPE, FILE = Column(title="Shape"), Column(title="Dtype"), Column(title="File")
PARAMS = Column(title="Params", kind="amount")
RECORDS = (NAME, Column(title="Component"), ROLE, Column(title="Kind"), DTYPE, SHAPE, PARAMETERS, BYTES)
NUMBERED = re.compile(r"(.*?)(\d+)(-of-\d+.*)", re.DOTALL)


def tensors_document(
    summary: Summary,
    listed: list[tuple[Group, TensorRow]],
    *,
    total: int,
    expand: bool = False,
    sort: Sort | None = None,
    top: int | None = None,
    notes: tuple[str, ...] = (),
    exact: bool = False,
) -> Document:
    """One row a tensor, or for people one row for all that differ only in their numbers.

    Args:
        summary: what the heading says.
        listed: the tensors that were asked for, in the order of the forward pass.
        total: how many tensors there are in all.
        expand: one row a tensor.
        sort: what to sort by; None keeps the order.
        top: how many tensors to show, one row each; the largest, unless `sort` says otherwise.
        notes: what to say where nothing fits.
        exact: all digits.
    """
    if sort or top:
        key = sorted_by(sort or "parameters")
        listed = sorted(listed, key=lambda pair: key(pair[1]))[:top]
    rows = [row for _, row in listed]
    shards = _shards([*(file.name for file in summary.files), *(row.file for row in rows if row.file)])
    shown = {} if _only_file(rows, shards) else shards
    return Document(
        data={"schema_version": 1, "model": summary.model, "tensors": rows},
        title=title(summary),
        subtitle=subtitle(summary, exact=exact),
        facts=(),
        table=_each(rows, shown) if expand or top else _grouped(listed, shown, sort),
        records=_records(rows),
        notes=notes,
        closing=_closing(rows, total, shards, exact=exact),
        exact=exact,
    )


def streamed_document(summary: Summary, rows: Iterable[TensorRow]) -> Document:
    """The JSON of all rows in the order in which they come, and nothing for people."""
    head = {"schema_version": 1, "model": summary.model}
    return Document(
        data=Streamed(head, "tensors", rows),
        title=title(summary),
        subtitle=subtitle(summary),
        facts=(),
    )


def _closing(rows: list[TensorRow], total: int, shards: dict[str, str], *, exact: bool) -> str:
    parameters, size = _parameters(rows), sum(row.bytes for row in rows)
    file = _only_file(rows, shards)
    parts = [
        f"{len(rows):,} of {words.plural(total, 'tensor')}" if total else words.plural(len(rows), "tensor"),
        f"{words.amount(parameters, exact=exact)} parameters" if parameters else "",
        words.size(size, exact=exact) if size else "",
        f"all in {file}" if file else "",
        "" if total else "as config.json describes them",
    ]
    return f"{', '.join(filter(None, parts))}."


def _only_file(rows: list[TensorRow], shards: dict[str, str]) -> str | None:
    """The one of several files that all rows are in."""
    files = {row.file for row in rows if row.file}
    return shards[files.pop()] if len(shards) > 1 and len(files) == 1 else None


def _each(rows: list[TensorRow], shards: dict[str, str]) -> Table:
    columns = (NAME, ROLE, SHAPE, DTYPE, PARAMS, BYTES, FILE)
    lines = [
        (r.name, _roles(r), _shape(r.shape), r.dtype, r.parameters, _bytes([r]), _files([r], shards)) for r in rows
    ]
    return _table(columns, lines)


def _grouped(listed: list[tuple[Group, TensorRow]], shards: dict[str, str], sort: Sort | None) -> Table:
    groups: dict[tuple[object, ...], list[TensorRow]] = {}
    group_of: dict[str, Group] = {}
    for group, row in listed:
        layer = row.layer if sort == "layer" else None
        key = (id(group), row.shape, row.dtype, layer)
        if key not in groups:
            group_of[row.name] = group
        groups.setdefault(key, []).append(row)
    ordered = _in_order(list(groups.values()), sort)
    lines = [_line(group_of[members[0].name], members, shards) for members in ordered]
    return _table((NAME, ROLE, TENSORS, SHAPE, DTYPE, PARAMS, BYTES, FILE), lines)


def _in_order(groups: list[list[TensorRow]], sort: Sort | None) -> list[list[TensorRow]]:
    """The groups sorted by what is shown of each: the sum of its members."""
    if sort == "parameters":
        return sorted(groups, key=lambda members: -(_parameters(members) or 0))
    if sort == "bytes":
        return sorted(groups, key=lambda members: -sum(row.bytes for row in members))
    return groups


def _line(group: Group, members: list[TensorRow], shards: dict[str, str]) -> tuple[Cell, ...]:
    first = members[0]
    return (
        fill(group.template, numbers_of(group.numbers_of(row.name) for row in members)),
        _roles(first),
        len(members),
        _shape(first.shape),
        first.dtype,
        _parameters(members),
        _bytes(members),
        _files(members, shards),
    )


def _table(columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]]) -> Table:
    """Without the columns in which nothing stands, and the number of tensors where every row is one."""
    kept = [
        place
        for place, column in enumerate(columns)
        if any(row[place] is not None for row in rows)
        and (column is not TENSORS or any(row[place] != 1 for row in rows))
    ]
    return Table(
        columns=tuple(columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in rows),
    )


def _parameters(rows: Iterable[TensorRow]) -> int | None:
    """Of all rows; None where nothing tells those of one."""
    found = [row.parameters for row in rows]
    return None if None in found else sum(count or 0 for count in found)


def _bytes(members: list[TensorRow]) -> int | None:
    """What is stored; None where nothing is."""
    return sum(row.bytes for row in members) if members[0].dtype else None


def _files(members: list[TensorRow], shards: dict[str, str]) -> str | None:
    """One file by its number or name, several as how many; None where there is but one in all."""
    files = {row.file for row in members if row.file}
    if len(shards) < 2 or not files:
        return None
    if len(files) == 1:
        return shards[files.pop()]
    return f"{len(files):,} {'shards' if _are_numbered(shards) else 'files'}"


def _shards(names: Iterable[str]) -> dict[str, str]:
    """What each file is called in a row: `shard 3` where all differ in their number alone, else its name."""
    distinct = dict.fromkeys(names)
    matches = [NUMBERED.fullmatch(name) for name in distinct]
    kinds = {(match[1], match[3]) if match else None for match in matches}
    if len(kinds) != 1 or None in kinds:
        return {name: name for name in distinct}
    return {match[0]: f"shard {match[2].lstrip('0') or '0'}" for match in matches if match}


def _are_numbered(shards: dict[str, str]) -> bool:
    return any(name != shown for name, shown in shards.items())


def _roles(row: TensorRow) -> str:
    text = " + ".join(row.roles) + ("" if row.kind == "weight" else f" {row.kind}")
    return mark(text, inferred=row.inferred)


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
