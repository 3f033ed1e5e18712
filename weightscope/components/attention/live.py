"""What softmax attention has in memory at the peak of a pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from weightscope.components.attention.norms import RotatedNorms
from weightscope.components.live import Live, Mask, Widths
from weightscope.components.norm import live_in
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.components.attention.softmax import Attention

# Bytes of a number of float32.
BYTES = 4


class _Made(NamedTuple):
    """Elements of a token's queries, keys and values, of the gate that is made with them, and of what the heads mix."""

    queries: int
    keys: int
    values: int
    gate: int
    mixed: int

    @property
    def turned(self) -> int:
        return self.queries + self.keys

    @property
    def all(self) -> int:
        return self.turned + self.values + self.gate


def _made(attention: Attention) -> _Made:
    heads = attention.heads
    mixed = int(heads.count * heads.value_size)
    return _Made(
        queries=int(heads.count * heads.size),
        keys=int(heads.keys * heads.size),
        values=int(heads.keys * heads.value_size),
        gate=mixed if attention.gated and not attention.gates_heads else 0,
        mixed=mixed,
    )


def stages(attention: Attention, widths: Widths) -> Iterator[Live]:
    """Queries, keys and values, and what is made of them: normed, rotated, and mixed; nothing of what is not known."""
    if widths.scores and not widths.kept_scores and (attention.heads.keys != 1 or attention.placing.added):
        return
    made = _made(attention)
    if attention.norms.query:
        # Norms after the rotation, unlike those before it, find the values made.
        all_there = made.gate or isinstance(attention.norms, RotatedNorms)
        there = made.all if all_there else made.turned
        yield Live(elements=there + live_in(attention.norms.query, widths) * max(made.queries, made.keys))
    if attention.placing.turns:
        yield Live(elements=made.all + _turning(attention, made, widths))
    if attention.out_norm:
        yield Live(elements=made.all + made.mixed * (1 + live_in(attention.out_norm, widths)))
    mixing = _mixing(attention, made, widths)
    yield mixing
    if attention.sees.kept is not None and not widths.scores:
        yield _masked(attention, made, mixing, widths)


def _turning(attention: Attention, made: _Made, widths: Widths) -> int:
    """Three copies of the queries while they are rotated, or of the keys beside the rotated queries; or other steps."""
    if (dim := attention.placing.turned_part(int(attention.heads.size))) is not None:
        # What turns, and then queries and keys put together again.
        return int(attention.heads.count + attention.heads.keys) * dim + made.turned
    steps = attention.placing.turning
    wide = 1 if steps == "plain" else widths.float32
    if steps == "complex":
        # What enters and what leaves, in float32, and then in the type of the computation.
        return (2 * wide + (wide > 1)) * made.turned
    copied = wide * made.turned if steps == "converted" and wide > 1 else 0
    return copied + wide * max(3 * made.queries, made.queries + 3 * made.keys)


def _mixing(attention: Attention, made: _Made, widths: Widths) -> Live:
    """What the kernel takes and gives, and what follows it; or scores, where no kernel makes them."""
    elements, fused, placing = made.all, makes_all_at_once(attention), attention.placing
    part = placing.turned_part(int(attention.heads.size))
    after = int(attention.width if attention.out_width is None else attention.out_width)
    if placing.turns:
        # All that one matrix made stays, because values are a part of it.
        elements += made.turned if fused else 0
        if part is not None and placing.turning == "apart":
            # What turns, and what does not, were taken of queries and keys, which stay.
            stays = 0 if fused and not attention.norms.query else made.turned
            elements += int(attention.heads.count + attention.heads.keys) * part + stays
        if fused or part is not None:
            # Queries that were put together lie in another order, and what the heads put out is copied back.
            after = max(after, made.mixed)
    if not widths.scores:
        return Live(elements=elements + made.mixed + after)
    count = int(attention.heads.count)
    grouped = attention.heads.keys != attention.heads.count
    return Live(
        elements=elements + made.mixed + _scoring(attention, made, widths),
        # Keys and values are copied for each head of queries.
        seen=made.queries + made.mixed if grouped and widths.kept_scores else 0,
        pairs=count * widths.scores,
        shares=count * widths.kept_scores,
        mask=Mask(sees=attention.sees, elements=1),
    )


def _masked(attention: Attention, made: _Made, mixing: Live, widths: Widths) -> Live:
    """The same where a text is longer than a token sees: a mask of a byte, also as a number that is added to scores.

    Torch's kernel does not share keys and values among heads then.
    """
    grouped = attention.heads.keys != attention.heads.count
    return Live(
        elements=mixing.elements + (made.queries + made.mixed if grouped else 0),
        pairs=1,
        mask=Mask(sees=attention.sees, elements=widths.float32 / BYTES),
        beyond=(attention.sees.kept or 0) + 1,
    )


def _scoring(attention: Attention, made: _Made, widths: Widths) -> int:
    """What else the product of queries and keys needs, where it goes by no kernel."""
    converted = widths.float32 > 1
    if not widths.kept_scores:
        # Queries that were converted, the same scaled, and the one key copied for each of them.
        return (2 + converted) * widths.float32 * made.queries
    # Modules older than kernels make scores in float32, of queries and keys that were converted; not those with biases.
    old = widths.kept_scores > 1 and not attention.placing.added
    return widths.float32 * made.turned if converted and old else 0


def makes_all_at_once(attention: Attention) -> bool:
    """Whether one matrix makes queries, keys and values."""
    return any({Role.Q_PROJ, Role.V_PROJ} <= set(item.roles) for item in attention.projections)
