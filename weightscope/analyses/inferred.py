"""Groups of tensors that no declaration names: their roles are guessed from names, packed weights from tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from weightscope.analyses.groups import Counts, Group, count_of
from weightscope.checkpoint.entry import TensorEntry
from weightscope.components.base import Indices
from weightscope.errors import CheckpointError, Where
from weightscope.ranges import columns, template_of
from weightscope.storage.base import Kind

# Names that differ in more than their numbers and are declared nowhere; each is analysed on its own.
MAX_KINDS = 100_000


def nameless_shapes(names: list[str], where: Where) -> Iterable[Group]:
    """Inferred groups of names whose shapes nothing tells: they count no elements."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(template_of(name)[0], []).append(name)
        _check_kinds(len(found), where)
    for template, members in found.items():
        ranges = tuple(sorted(column) for column in columns(template_of(name)[1] for name in members))
        yield _inferred(template, ranges, tuple(members), {}, dimensions=2)


def inferred_groups(
    names: list[str],
    tensors: dict[str, TensorEntry],
    aliases: dict[str, str],
    where: Where,
    settings: dict[str, Any] | None,
) -> Iterable[Group]:
    """Groups of the tensors that no family declares, by the shape of their names; some may be packed weights."""
    if not names:
        return
    from weightscope.analyses.undeclared import packed_weights
    from weightscope.quantization.common.marks import is_side_beside

    packed = packed_weights(names, tensors, settings)
    found: dict[tuple[str, int, bool, tuple[int, int]], list[tuple[str, tuple[int, ...]]]] = {}
    for name in names:
        template, numbers = template_of(name)
        packing = packed[name].packing if name in packed else (1, 1)
        found.setdefault((template, len(tensors[name].shape), name in aliases, packing), []).append((name, numbers))
        _check_kinds(len(found), where)
    for (template, dimensions, alias, packing), members in found.items():
        ranges = tuple(sorted(column) for column in columns(numbers for _, numbers in members))
        group_names = tuple(name for name, _ in members)
        counts = count_of([tensors[name] for name in group_names])
        group = _inferred(template, ranges, group_names, counts, dimensions=dimensions, alias=alias)
        scale = is_side_beside(group_names[0], tensors)
        if (told := packed.get(group_names[0])) is not None:
            kind = Kind.WEIGHT if told.weights else Kind.SCALE
            group = replace(group, packing=packing if told.weights else (1, 1), scheme=told.scheme, kind=kind)
        yield replace(group, kind=Kind.SCALE) if scale else group


def _check_kinds(kinds: int, where: Where) -> None:
    if kinds > MAX_KINDS:
        raise CheckpointError(
            f"has over {MAX_KINDS:,} different names of undeclared tensors",
            where=where,
            hint="check that this is a checkpoint: no published model has so many",
            code="malformed-header",
        )


def _inferred(
    template: str,
    ranges: tuple[Indices, ...],
    names: tuple[str, ...],
    counts: Counts,
    *,
    dimensions: int,
    alias: bool = False,
) -> Group:
    # Its patterns take longer to compile than a small checkpoint to read.
    from weightscope.analyses.infer import guess

    suggestion = guess(template, dimensions)
    return Group(
        template=template,
        ranges=ranges,
        kinds=("layer", *("expert",) * (len(ranges) - 1)) if ranges else (),
        names=names,
        counts=counts,
        parts=((suggestion.role, 1),),
        kind=suggestion.kind,
        section=suggestion.section,
        inferred=True,
        alias=alias,
    )
