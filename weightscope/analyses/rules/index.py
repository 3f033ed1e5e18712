"""Do the index and the shards say the same?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject, listed, some
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.location import IN_PARTS
from weightscope.checkpoint.sets import SHARD
from weightscope.findings import Finding, Severity
from weightscope.ranges import summed
from weightscope.storage.base import Kind


def wrong_places(subject: Subject) -> Iterator[Finding]:
    """`index-mismatch`: names that their shard lacks or that lie in another, errors; that the index leaves out."""
    index, checkpoint = subject.checkpoint.index, subject.checkpoint
    if index is None or not checkpoint.files:
        return
    places, tensors = index.weight_map, checkpoint.tensors
    numbers = {checkpoint.name_of(file): number for number, file in enumerate(checkpoint.files)}
    entries, shards = list(map(tensors.get, places)), list(map(numbers.get, places.values()))
    trios = zip(places, entries, shards, strict=True)
    strange = [(name, entry) for name, entry, shard in trios if entry is None or entry.file != shard]
    lacking = [name for name, entry in strange if entry is None and places[name] in numbers]
    # A name that two shards hold is a duplicate, said elsewhere; it is not in the wrong one.
    tensors_of = {checkpoint.name_of(file): file.tensors for file in checkpoint.files}
    moved = [name for name, entry in strange if entry and name not in tensors_of.get(places[name], ())]
    found = len(entries) - sum(entry is None for _, entry in strange)
    left_out = [name for name in tensors if name not in places] if found < len(tensors) else []
    said: tuple[tuple[list[str], Severity, str, str], ...] = (
        (
            lacking,
            "error",
            "that are not in their shard",
            "loaders fill these with random numbers; write the index again",
        ),
        (
            moved,
            "error",
            "that are in a different shard",
            "loaders that follow the index do not find these; write the index again",
        ),
        (
            left_out,
            "warning",
            "missing from the index",
            "transformers loads whole shards, other loaders only what the index names; write the index again",
        ),
    )
    for names, severity, what, hint in said:
        if names:
            titles = summed(names)
            yield Finding(
                code="index-mismatch",
                severity=severity,
                message=f"{index.path.name}: {some(names)} {what}: {listed(titles)}",
                tensors=tuple(titles),
                hint=hint,
            )


def absent_index(subject: Subject) -> Iterator[Finding]:
    """`index-mismatch`: transformers finds shards by their index alone. `missing-shard`, where there are no weights."""
    yield from _absent_metadata(subject)
    location, directory = subject.checkpoint.location, subject.directory
    if directory and subject.checkpoint.format == "config":
        from weightscope.checkpoint.foreign import named

        others = named(directory.names())
        yield Finding(
            code="missing-shard",
            severity="error",
            message="there is a config.json but no weight file"
            + (f" in a supported format: {others}" if others else ""),
            hint="upload or download the weights; to check the config alone, give the path of config.json",
        )
    elif location.format in IN_PARTS:
        return
    elif directory and location.config and len(location.weights) > 1 and not (location.index or location.missing):
        if any(item.relation == "stale-index" for item in location.beside):
            return
        yield Finding(
            code="index-mismatch",
            severity="error",
            message=f"{len(location.weights):,} shards, but no index",
            hint="transformers needs an index to load shards: write one, or save the checkpoint again",
        )


def _absent_metadata(subject: Subject) -> Iterator[Finding]:
    """`malformed-index`: transformers asks an index for its `metadata` and fails where there is none."""
    index = subject.checkpoint.index
    if index is not None and not index.has_metadata:
        yield Finding(
            code="malformed-index",
            severity="error",
            message=f"{index.path.name} has no metadata, so transformers cannot load it",
            hint='add "metadata": {"total_size": …} with the bytes of all tensors, or save the checkpoint again',
        )


def extra_shards(subject: Subject) -> Iterator[Finding]:
    """`unexpected-shard`, a warning: files beside the shards that are numbered like them and belong to none."""
    location = subject.checkpoint.location
    if not location.weights or subject.directory is None:
        return
    stale = any(item.relation in ("stale-index", "same-format") for item in location.beside)
    known = {path.name for path in location.weights} | set(location.missing)
    suffix = location.weights[0].suffix
    try:
        others = [name for name in subject.checkpoint.folder.names() if name.endswith(suffix) and name not in known]
    except OSError:
        return
    stems = {match["stem"] for name in known if (match := SHARD.fullmatch(name))}
    stems |= {name.removesuffix(suffix) for name in known}
    stray = [
        name for name in others if (match := SHARD.fullmatch(name)) and match["stem"] in stems and not match["variant"]
    ]
    counts = {match["count"] for name in known if (match := SHARD.fullmatch(name))}
    forgotten = [name for name in stray if (match := SHARD.fullmatch(name)) and match["count"] in counts]
    if forgotten and location.index:
        yield Finding(
            code="index-mismatch",
            severity="error",
            message=f"{location.index.path.name} does not name {listed(forgotten)}, numbered as one of its shards",
            actual=forgotten,
            hint="loaders that follow the index skip this file; write the index again",
        )
        known = set(forgotten)
        stray = [name for name in stray if name not in known]
    # Shards of another index are said with it.
    if stray and not stale:
        yield Finding(
            code="unexpected-shard",
            severity="warning",
            message=f"{some(stray, 'shard')} of another save: {', '.join(stray[:8])}{' …' if len(stray) > 8 else ''}",
            actual=stray,
            hint="probably left over from an earlier save; they are not read, and can be deleted",
        )


def wrong_totals(subject: Subject) -> Iterator[Finding]:
    """`size-mismatch` and `index-mismatch`, warnings: totals that no way of counting explains."""
    if subject.checkpoint.index is None or not subject.complete:
        return
    if subject.has_shapes:
        yield from _wrong_size(subject)
        yield from _wrong_count(subject)
    else:
        yield from _implausible_size(subject)


def _wrong_size(subject: Subject) -> Iterator[Finding]:
    stored = sum(group.bytes for group in subject.inventory.groups)
    total = subject.checkpoint.index.total_size if subject.checkpoint.index else None
    if total is None or total == stored:
        return
    # Storage that two names share is billed once by some writers and twice by others.
    billed = sum(stop - start for start, stop in (entry.data_offsets for entry in subject.checkpoint.tensors.values()))
    if total != billed:
        yield _size_mismatch(subject, total, stored, f"but the tensors take {stored:,} bytes")


def _implausible_size(subject: Subject) -> Iterator[Finding]:
    """An index alone: its size against the config's shapes in one dtype; buffers may have another."""
    index, declaration = subject.checkpoint.index, subject.declaration
    if index is None or index.total_size is None or declaration is None or declaration.covered:
        return
    if subject.inventory.unrecognized or subject.inventory.missing:
        return
    groups = subject.inventory.groups
    buffers = sum(group.elements for group in groups if group.kind is Kind.BUFFER)
    weights = sum(group.elements for group in groups) - buffers
    widths = {dtype: DTYPE_BITS[dtype] // 8 for dtype in ("F32", "BF16", "F16", "F64", "F8_E4M3")}
    fitting = [d for d, width in widths.items() if 0 <= index.total_size - weights * width <= 8 * buffers]
    said = subject.config.dtype if subject.config else None
    if not fitting:
        expected = weights * widths.get(said or "BF16", 2)
        yield _size_mismatch(
            subject, index.total_size, expected, f"but the weights of config.json take {expected:,} bytes"
        )
    elif said and widths.get(said) != widths[fitting[0]]:
        yield Finding(
            code="dtype-mismatch",
            severity="info",
            message=f"{index.path.name} says {widths[fitting[0]]} bytes per weight, but config.json says {said}",
            expected=said,
            actual=fitting[0],
            config=("dtype",),
            hint="loaders convert the weights to the dtype of config.json",
        )


def _size_mismatch(subject: Subject, said: int, actual: int, what: str) -> Finding:
    name = subject.checkpoint.index.path.name if subject.checkpoint.index else "the index"
    return Finding(
        code="size-mismatch",
        severity="warning",
        message=f"{name} says total_size {said:,}, {what}",
        expected=said,
        actual=actual,
        hint="loaders ignore it; write the index again",
    )


def _wrong_count(subject: Subject) -> Iterator[Finding]:
    """Writers count differently: with or without buffers, auxiliary layers and a tied head, packed or logical."""
    index, groups, parameters = subject.checkpoint.index, subject.inventory.groups, subject.parameters
    if index is None or index.total_parameters is None or parameters.total is None or parameters.auxiliary is None:
        return
    elements = sum(group.elements for group in groups)
    total = parameters.total
    readings = {total, total + parameters.auxiliary, elements, parameters.stored_elements}
    if subject.tying.tied:
        readings.add(total + sum(g.parameters for g in groups if subject.tying.embedding in g.names))
    if index.total_parameters not in readings:
        yield Finding(
            code="index-mismatch",
            severity="warning",
            message=f"{index.path.name} says total_parameters {index.total_parameters:,}, "
            f"but the model has {parameters.total:,} parameters",
            expected=index.total_parameters,
            actual=parameters.total,
            hint="with or without tied, packed and auxiliary weights, no count gives this number",
        )
