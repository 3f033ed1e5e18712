"""Do the index and the shards say the same?"""

from __future__ import annotations

from collections.abc import Container, Iterator

from weightscope.analyses.rules.subject import SHOWN, Subject, listed, some, summed
from weightscope.checkpoint.locate import SHARD
from weightscope.findings import Finding


def wrong_places(subject: Subject) -> Iterator[Finding]:
    """`index-mismatch`, errors: names that their shard lacks, that lie in another, that the index leaves out."""
    index, checkpoint = subject.checkpoint.index, subject.checkpoint
    if index is None or not checkpoint.files:
        return
    places, tensors = index.weight_map, checkpoint.tensors
    numbers = {file.path.name: number for number, file in enumerate(checkpoint.files)}
    entries, shards = list(map(tensors.get, places)), list(map(numbers.get, places.values()))
    trios = zip(places, entries, shards, strict=True)
    strange = [(name, entry) for name, entry, shard in trios if entry is None or entry.file != shard]
    lacking = [name for name, entry in strange if entry is None and places[name] in numbers]
    # A name that two shards hold is a duplicate, said elsewhere; it is not in the wrong one.
    moved = [name for name, entry in strange if entry and name not in _tensors_of(subject, places[name])]
    found = len(entries) - sum(entry is None for _, entry in strange)
    left_out = [name for name in tensors if name not in places] if found < len(tensors) else []
    for names, what, hint in (
        (lacking, "that their shard does not hold", "loaders fill them with random numbers; rewrite the index"),
        (
            moved,
            "that lie in another shard than it says",
            "loaders that follow the index miss them; rewrite the index",
        ),
        (left_out, "of the shards left out", "loaders that follow the index ignore them; rewrite the index"),
    ):
        if names:
            titles = summed(names)
            yield Finding(
                code="index-mismatch",
                severity="error",
                message=f"{index.path.name}: {some(names)} {what}: {listed(titles)}",
                tensors=tuple(titles[:SHOWN]),
                hint=hint,
            )


def _tensors_of(subject: Subject, shard: str) -> Container[str]:
    return next((file.tensors for file in subject.checkpoint.files if file.path.name == shard), ())


def extra_shards(subject: Subject) -> Iterator[Finding]:
    """`unexpected-shard`, a warning: files beside the shards that are numbered like them and belong to none."""
    location = subject.checkpoint.location
    if not location.weights or not (location.index or len(location.weights) > 1):
        return
    known = {path.name for path in location.weights} | set(location.missing)
    directory, suffix = location.weights[0].parent, location.weights[0].suffix
    try:
        others = sorted(path.name for path in directory.iterdir() if path.suffix == suffix and path.name not in known)
    except OSError:
        return
    stems = {match["stem"] for name in known if (match := SHARD.fullmatch(name))}
    stray = [
        name for name in others if (match := SHARD.fullmatch(name)) and match["stem"] in stems and not match["variant"]
    ]
    if stray:
        yield Finding(
            code="unexpected-shard",
            severity="warning",
            message=f"{some(stray, 'shard')} that the index does not name: {listed(stray)}",
            actual=stray[:SHOWN],
            hint="left over from another save? they take space and are not read",
        )


def wrong_totals(subject: Subject) -> Iterator[Finding]:
    """`size-mismatch` and `index-mismatch`, warnings: totals that no way of counting explains."""
    index, inventory, parameters = subject.checkpoint.index, subject.inventory, subject.parameters
    if index is None or not subject.has_shapes or not subject.complete:
        return
    stored = sum(group.bytes for group in inventory.groups)
    # Storage that two names share is billed once by some writers and twice by others.
    billed = sum(stop - start for start, stop in (entry.data_offsets for entry in subject.checkpoint.tensors.values()))
    if index.total_size is not None and index.total_size not in (stored, billed):
        yield Finding(
            code="size-mismatch",
            severity="warning",
            message=f"{index.path.name} says total_size {index.total_size:,}, the tensors take {stored:,} bytes",
            expected=index.total_size,
            actual=stored,
            hint="loaders ignore it; rewrite the index to be right",
        )
    # Writers count differently: with or without buffers, auxiliary layers and a tied head, packed or logical.
    elements = sum(group.elements for group in inventory.groups)
    readings = {parameters.total, parameters.total + parameters.auxiliary, elements, parameters.stored_elements}
    if subject.tying.tied:
        readings.add(
            parameters.total + sum(g.parameters for g in inventory.groups if subject.tying.embedding in g.names)
        )
    if index.total_parameters is not None and index.total_parameters not in readings:
        yield Finding(
            code="index-mismatch",
            severity="warning",
            message=f"{index.path.name} says total_parameters {index.total_parameters:,}, "
            f"the total is {parameters.total:,}",
            expected=index.total_parameters,
            actual=parameters.total,
            hint="writers count tied, packed and auxiliary weights differently; none of those explains it",
        )
