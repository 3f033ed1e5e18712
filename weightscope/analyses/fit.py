"""What does not fit at a glance: names and shapes against the declaration, sizes against the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.analyses.accounting import Parameters
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.reader import Checkpoint
from weightscope.findings import Finding
from weightscope.ranges import columns, fill, template_of

SHOWN = 20


def find_faults(
    checkpoint: Checkpoint, inventory: Inventory, tying: Tying, parameters: Parameters
) -> Iterator[Finding]:
    """One finding a group of tensors, never one a tensor."""
    if checkpoint.format != "config" and inventory.recognized:
        yield from _missing(inventory, checkpoint)
        yield from _unexpected(inventory)
        yield from _misshapen(inventory)
    yield from _tying(tying)
    if checkpoint.index and checkpoint.files and not checkpoint.location.missing:
        yield from _totals(checkpoint, inventory, tying, parameters)


def summed(names: Sequence[str]) -> list[str]:
    """Names as templates with ranges; each stands for those among the names that fit it."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        template, numbers = template_of(name)
        found.setdefault(template, []).append(numbers)
    return [fill(template, columns(numbers)) for template, numbers in found.items()]


def _missing(inventory: Inventory, checkpoint: Checkpoint) -> Iterator[Finding]:
    # What a missing shard holds is missing with it, and said once.
    if checkpoint.location.missing:
        return
    auxiliary = [(slot, names) for slot, names in inventory.missing if slot.auxiliary]
    for slot, names in inventory.missing:
        if slot.auxiliary:
            continue
        title = summed(names)[0]
        yield Finding(
            code="missing-tensor",
            severity="error",
            message=f"{_count(names)} missing: {title}",
            tensors=(title,),
            expected=[int(n) for n in slot.stored.shape],
            config=tuple(dict.fromkeys(key for n in slot.stored.shape for key in n.keys)),
            hint="loaders fill missing weights with random numbers",
        )
    if auxiliary:
        count = sum(len(names) for _, names in auxiliary)
        yield Finding(
            code="missing-tensor",
            severity="info",
            message=f"the config names multi-token-prediction layers, whose {count:,} tensors are not stored",
            tensors=tuple(summed(names)[0] for _, names in auxiliary)[:SHOWN],
            hint="the main model runs without them",
        )


def _unexpected(inventory: Inventory) -> Iterator[Finding]:
    titles = summed(inventory.unrecognized)
    if titles:
        yield Finding(
            code="unexpected-tensor",
            severity="warning",
            message=f"{_count(inventory.unrecognized)} that the config's architecture does not have: "
            + ", ".join(titles[:3])
            + (f" and {len(titles) - 3:,} more kinds" if len(titles) > 3 else ""),
            tensors=tuple(titles[:SHOWN]),
            hint="their roles below are inferred from their names",
        )


def _misshapen(inventory: Inventory) -> Iterator[Finding]:
    for group in inventory.groups:
        if group.shape is None:
            continue
        expected = tuple(int(n) for n in group.shape)
        wrong = {shape: count for (_, shape), count in group.counts.items() if shape != expected}
        for shape, count in wrong.items():
            formula = " × ".join(size.text for size in group.shape)
            yield Finding(
                code="shape-mismatch",
                severity="error",
                message=f"{group.title}: {count:,} of {group.tensors:,} are {list(shape)}, "
                f"the config says {list(expected)} ({formula})",
                tensors=(group.title,),
                expected=list(expected),
                actual=list(shape),
                config=tuple(dict.fromkeys(key for size in group.shape for key in size.keys)),
                hint="config.json and weights describe different models",
            )


def _tying(tying: Tying) -> Iterator[Finding]:
    if tying.declared and tying.evidence == "untied":
        yield Finding(
            code="tie-mismatch",
            severity="error",
            message=f"the config ties the head, but {tying.head} and {tying.embedding} hold different values",
            tensors=tuple(name for name in (tying.head, tying.embedding) if name),
            config=("tie_word_embeddings",),
            hint="set tie_word_embeddings to false to keep the stored head",
        )


def _totals(checkpoint: Checkpoint, inventory: Inventory, tying: Tying, parameters: Parameters) -> Iterator[Finding]:
    index = checkpoint.index
    if index is None:
        return
    stored = sum(group.bytes for group in inventory.groups)
    if index.total_size is not None and index.total_size != stored and index.total_size != _billed(checkpoint):
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
    if tying.tied:
        readings.add(parameters.total + sum(g.parameters for g in inventory.groups if tying.embedding in g.names))
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


def _billed(checkpoint: Checkpoint) -> int:
    """Bytes by name: storage that two names share is counted once by some writers and twice by others."""
    return sum(stop - start for start, stop in (entry.data_offsets for entry in checkpoint.tensors.values()))


def _count(names: Sequence[str]) -> str:
    return f"{len(names):,} tensor{'s' if len(names) != 1 else ''}"
