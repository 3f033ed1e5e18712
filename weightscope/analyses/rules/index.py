"""Do the index and the shards say the same?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import SHOWN, Subject, listed, some, summed
from weightscope.checkpoint.locate import SHARD
from weightscope.findings import Finding


def wrong_places(subject: Subject) -> Iterator[Finding]:
    """`index-mismatch`, errors: names that their shard lacks, that lie in another, that the index leaves out."""
    index, checkpoint = subject.checkpoint.index, subject.checkpoint
    if index is None or not checkpoint.files:
        return
    by_number = [file.path.name for file in checkpoint.files]
    present = set(by_number)
    tensors = checkpoint.tensors
    lacking: list[str] = []
    elsewhere: list[str] = []
    for name, shard in index.weight_map.items():
        entry = tensors.get(name)
        if entry is None:
            if shard in present:
                lacking.append(name)
        elif by_number[entry.file] != shard and not (
            shard in present and name in checkpoint.files[by_number.index(shard)].tensors
        ):
            elsewhere.append(name)
    left_out = (
        [name for name in tensors if name not in index.weight_map]
        if len(tensors) > len(index.weight_map) - len(lacking) - 1
        else []
    )
    for names, what, hint in (
        (lacking, "that their shard does not hold", "loaders fill them with random numbers; rewrite the index"),
        (
            elsewhere,
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
