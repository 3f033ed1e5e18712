"""What softmax attention has in memory: at the peak of a pass, and in a training step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.components.attention.norms import RotatedNorms
from weightscope.components.live import Moment, Widths
from weightscope.components.norm import NumberedNorms
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.components.attention.softmax import Attention


def peak(attention: Attention, widths: Widths) -> int:
    """Queries, keys and values, and what is made of them: normed in float32, rotated in three copies, or mixed."""
    heads = attention.heads
    queries, keys = int(heads.count * heads.size), int(heads.keys * heads.size)
    made = queries + keys + int(heads.keys * heads.value_size)
    stages = [made + int(heads.count * heads.value_size)]
    if (dim := attention.placing.turned_part(int(heads.size))) is not None:
        # What turns, and then queries and keys put together again.
        stages.append(made + int(heads.count + heads.keys) * dim + queries + keys)
    elif attention.placing.turns:
        stages += [made + 3 * queries, made + queries + 3 * keys]
    if attention.norms.query:
        # Norms after the rotation, unlike those before it, find the values made.
        there = made if isinstance(attention.norms, RotatedNorms) else queries + keys
        stages.append(there + 2 * widths.float32 * max(queries, keys))
    return max(stages)


def saved(attention: Attention, widths: Widths) -> int:
    """Elements that are kept for the backward pass."""
    return sum(_saved(attention, widths))


def _saved(attention: Attention, widths: Widths) -> Iterator[int]:
    heads = attention.heads
    queries, keys = int(heads.count * heads.size), int(heads.keys * heads.size)
    values, mixed = int(heads.keys * heads.value_size), int(heads.count * heads.value_size)
    # What the kernel takes and gives, with a number of float32 for each head.
    yield queries + keys + values + mixed + int(heads.count) * widths.float32
    fused = _makes_all_at_once(attention)
    if fused:
        # Values are a part of what was made at once, and keep all of it.
        yield queries + keys
    if fused or attention.placing.turned_part(int(heads.size)) is not None:
        # Queries that were put together lie in another order, and what the heads put out is copied back.
        yield mixed
    if attention.gated:
        # What leaves the gate, and the gate of each element; that of a whole head is small.
        yield mixed if attention.gates_heads else 2 * mixed
    if attention.out_norm:
        yield attention.out_norm.saves(widths)
    for norm, size in ((attention.norms.query, queries), (attention.norms.key, keys)):
        if norm is not None:
            one = norm.norm if isinstance(norm, NumberedNorms) else norm
            # What leaves these norms is rotated and not kept.
            yield size * (one.saves(widths) - int(one.size)) // max(int(one.size), 1)


def _makes_all_at_once(attention: Attention) -> bool:
    return any({Role.Q_PROJ, Role.V_PROJ} <= set(item.roles) for item in attention.projections)


def moments(attention: Attention, widths: Widths) -> tuple[Moment, ...]:
    """Three gradients of the queries while they are turned back; what comes out beside o_proj's; what goes in.

    That is where one matrix makes queries, keys and values: its gradient is larger than o_proj's.
    """
    heads, width = attention.heads, int(attention.width)
    mixed = int(heads.count * heads.value_size)
    found = [Moment(elements=int(heads.count * heads.size) * 3), Moment(elements=mixed, weight=mixed * width)]
    if attention.norms.query:
        # Four gradients in float32, when what the kernel took and gave is free.
        found.append(Moment(elements=int(heads.count * heads.size) * (4 * widths.float32 - 2)))
    if _makes_all_at_once(attention):
        made = int((heads.count + heads.keys) * heads.size + heads.keys * heads.value_size)
        found.append(Moment(elements=made - saved(attention, widths), weight=made * width))
    return (*found, *(attention.out_norm.backward(widths) if attention.out_norm else ()))
