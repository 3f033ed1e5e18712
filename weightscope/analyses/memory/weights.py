"""What the weights take: as they are stored, and as they would be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.analyses.accounting import counted
from weightscope.analyses.groups import Group
from weightscope.analyses.tying import Tying
from weightscope.brief import brief
from weightscope.checkpoint.dtypes import FLOATS, byte_size
from weightscope.roles import SECTION_ORDER
from weightscope.storage.base import Kind


class WeightRow(msgspec.Struct, frozen=True, kw_only=True):
    """The weights of one component that are loaded in one element type; sizes are bytes.

    Attributes:
        component: such as `attention`.
        dtype: as which they are loaded.
        parameters: how many weights; None where nothing tells.
        stored: in the files; 0 without files.
        loaded: in memory.
        auxiliary: whether the main model runs without them; most loaders leave these out.
    """

    component: str
    dtype: str
    parameters: int | None
    stored: int
    loaded: int
    auxiliary: bool


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of all weights.

    Attributes:
        stored: in the files; None without files.
        loaded: in memory, without auxiliary ones, what is tied once.
        auxiliary: what the main model runs without, in memory.
        assumed: the element type of plain weights where no file tells it; otherwise None.
        rows: by component and type.
    """

    stored: int | None
    loaded: int
    auxiliary: int
    assumed: str | None
    rows: tuple[WeightRow, ...]

    __repr__ = brief


def weights(
    groups: Sequence[Group], tying: Tying, *, dtype: str | None, assumed: str | None, stored: int | None
) -> Weights:
    """The weights, plain ones loaded as `dtype` where it is given.

    `assumed` is the element type of plain weights of a config or an index alone, `stored` what the files take.
    """
    rows = tuple(_rows(groups, tying, dtype, assumed))
    untold = any(told is None for group in groups for told, _ in group.counts)
    return Weights(
        stored=stored,
        loaded=sum(row.loaded for row in rows if not row.auxiliary),
        auxiliary=sum(row.loaded for row in rows if row.auxiliary),
        assumed=assumed if untold else None,
        rows=rows,
    )


def _rows(groups: Iterable[Group], tying: Tying, dtype: str | None, assumed: str | None) -> Iterator[WeightRow]:
    found: dict[tuple[str, str, bool], list[int]] = {}
    known: dict[tuple[str, str, bool], bool] = {}
    for group in sorted(groups, key=lambda group: SECTION_ORDER[group.section]):
        for (told, shape), count in group.counts.items():
            stored = told or _likely(group, assumed)
            loaded = dtype if dtype and is_plain(group, stored) else stored
            key = (str(group.section), loaded, group.auxiliary)
            row = found.setdefault(key, [0, 0, 0])
            row[0] += group.weights_in(shape) * count if counted(group, tying) else 0
            row[1] += byte_size(told, shape) * count if told and not group.alias else 0
            row[2] += byte_size(loaded, shape) * count if is_loaded(group, tying) else 0
            known[key] = known.get(key, True) and not group.uncounted
    for (component, loaded, auxiliary), (parameters, held, memory) in found.items():
        yield WeightRow(
            component=component,
            dtype=loaded,
            parameters=parameters if known[component, loaded, auxiliary] else None,
            stored=held,
            loaded=memory,
            auxiliary=auxiliary,
        )


def loaded_bytes(group: Group, tying: Tying, *, dtype: str | None, assumed: str | None) -> int:
    """Bytes in memory of a group's tensors."""
    return sum(row.loaded for row in _rows([group], tying, dtype, assumed))


def is_plain(group: Group, dtype: str) -> bool:
    """Whether it has a value an element, which loading converts; buffers stay as they are."""
    return dtype in FLOATS and group.scheme is None and group.kind not in (Kind.SCALE, Kind.BUFFER)


def is_loaded(group: Group, tying: Tying) -> bool:
    """Whether it takes memory of its own: not what is tied, or another's copy."""
    tied = tying.tied and tying.head in group.names
    return not (group.alias or group.kind is Kind.COPY or tied)


def _likely(group: Group, assumed: str | None) -> str:
    """The element type of what no file holds: a packed weight's own, or that of plain weights."""
    if not group.dtypes or assumed in group.dtypes:
        return assumed or "F32"
    return min(group.dtypes)
