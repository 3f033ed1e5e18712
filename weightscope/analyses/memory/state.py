"""How much decode state a model keeps: a fixed part and a part per token, as logic needs and as allocators reserve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from weightscope.analyses.memory.dtypes import byte_count
from weightscope.analyses.memory.kept import Kept
from weightscope.analyses.memory.pages import SOURCE, Paged, paged, reserved
from weightscope.brief import brief
from weightscope.components.state import State

Number = int | float


class StateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of state in the layers that have it alike; sizes are bytes.

    Attributes:
        kind: such as `keys_and_values` or `latent`; docs/memory.md lists them.
        part: the part of the model that keeps it.
        layers: how many layers have it.
        last: of how many tokens it is kept; None for all.
        dtype: its element type.
        fixed: of one sequence, whatever its length.
        per_token: of each token of one sequence.
        logical: of the whole batch: what the computation needs.
        reserved: of the whole batch: what an allocator sets aside.
        auxiliary: whether the main model runs without it.
    """

    kind: str
    part: str
    layers: int
    last: int | None
    dtype: str
    fixed: int
    per_token: Number
    logical: int
    reserved: int
    auxiliary: bool


class StateTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of state; `fixed` + `per_token` · context is one sequence.

    Attributes:
        fixed: of one sequence, whatever its length.
        per_token: of each token of one sequence.
        logical: of the whole batch: what the computation needs.
        reserved: of the whole batch: what an allocator sets aside.
    """

    fixed: int
    per_token: Number
    logical: int
    reserved: int


class DecodeState(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a batch of sequences between decode steps.

    Attributes:
        total: of the main model.
        auxiliary: of what the main model runs without; None where there is nothing of it.
        rows: by kind of state.
        page_size: tokens of a page.
        allocator: whose rules the reserved figure follows.
    """

    total: StateTotal
    auxiliary: StateTotal | None
    rows: tuple[StateRow, ...]
    page_size: int
    allocator: str = SOURCE

    __repr__ = brief


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how many: tokens a sequence, sequences, vectors that cross-attention looks at, tokens a page.

    `dtype` is that of the computation, `kv_dtype` that of keys and values.
    """

    context: int
    batch: int
    source: int
    page_size: int
    dtype: str
    kv_dtype: str

    def dtype_of(self, state: State) -> str:
        """The element type of a state."""
        return state.dtype or (self.kv_dtype if state.cached else self.dtype)


def decode_state(kept: Sequence[Kept], sizing: Sizing) -> DecodeState:
    """The state of a whole batch."""
    rows: list[StateRow] = []
    for auxiliary in (False, True):
        chosen = [part for part in kept if part.auxiliary is auxiliary]
        units = [paged([(s, sizing.dtype_of(s)) for s in part.states]) for part in chosen]
        flat = [unit for group in units for unit in group]
        bytes_of = iter(reserved(flat, sizing.context, sizing.source, sizing.page_size))
        for part, group in zip(chosen, units, strict=True):
            for unit in group:
                rows += _rows(part, unit, next(bytes_of), sizing)
    main, beside = ([row for row in rows if row.auxiliary is auxiliary] for auxiliary in (False, True))
    return DecodeState(
        total=_total(main),
        auxiliary=_total(beside) if beside else None,
        rows=tuple(_merged(rows)),
        page_size=sizing.page_size,
    )


def _rows(part: Kept, unit: Paged, reserved_bytes: int, sizing: Sizing) -> Iterable[StateRow]:
    """A row a state; of what shares a page the first has what the page has more than all of them."""
    own = [byte_count(state.elements(sizing.context, sizing.source), dtype) for state, dtype in unit.states]
    rest = reserved_bytes - sum(own[1:])
    for number, ((state, dtype), held) in enumerate(zip(unit.states, own, strict=True)):
        growth = state.growth(sizing.context) * byte_count(8, dtype) / 8
        fixed = held - growth * sizing.context if growth else held
        yield StateRow(
            kind=state.kind,
            part=part.part,
            layers=part.count,
            last=state.last,
            dtype=dtype,
            fixed=round(max(fixed, 0)) * part.count,
            per_token=_whole(growth * part.count),
            logical=held * part.count * sizing.batch,
            reserved=(held if number else rest) * part.count * sizing.batch,
            auxiliary=part.auxiliary,
        )


def _whole(number: float) -> Number:
    return int(number) if number == int(number) else number


def _merged(rows: Iterable[StateRow]) -> Iterable[StateRow]:
    """Rows that differ in how much alone as one."""
    found: dict[tuple[object, ...], list[StateRow]] = {}
    for row in rows:
        found.setdefault((row.kind, row.part, row.last, row.dtype, row.auxiliary), []).append(row)
    for members in found.values():
        total = _total(members)
        yield msgspec.structs.replace(
            members[0],
            layers=sum(row.layers for row in members),
            fixed=total.fixed,
            per_token=total.per_token,
            logical=total.logical,
            reserved=total.reserved,
        )


def _total(rows: Iterable[StateRow]) -> StateTotal:
    rows = list(rows)
    return StateTotal(
        fixed=sum(row.fixed for row in rows),
        per_token=_whole(sum(row.per_token for row in rows)),
        logical=sum(row.logical for row in rows),
        reserved=sum(row.reserved for row in rows),
    )
