"""What softmax attention keeps in a training step, and at which moments of its backward pass most lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.components.attention.live import makes_all_at_once
from weightscope.components.norm import LayerNorm, NumberedNorms
from weightscope.components.step import Moment, Step
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.components.attention.softmax import Attention

# What makes queries, keys, values and gates.
INPUTS = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.ATTENTION_GATE)


def saved(attention: Attention, step: Step) -> int:
    """Elements that are kept for the backward pass, but for what enters as it is."""
    mixing = sum(_mixing(attention, step)) if _is_reached(attention, step) else 0
    return step.adapting(attention, *INPUTS) + mixing + _leaving(attention, step)


def _is_reached(attention: Attention, step: Step) -> bool:
    """Whether the gradient of queries, keys or values is needed."""
    return step.leaves(attention, *INPUTS) or any(step.reaches(norm) for norm in attention.norms.parts())


def _mixing(attention: Attention, step: Step) -> Iterator[int]:
    """What the kernel takes and gives, with a number of float32 for each head, and what queries and keys were."""
    heads = attention.heads
    queries, keys = int(heads.count * heads.size), int(heads.keys * heads.size)
    values, mixed = int(heads.keys * heads.value_size), int(heads.count * heads.value_size)
    if step.widths.scores:
        # Keys and values are copied for each head of queries.
        yield 2 * queries + mixed + _scores(attention, step)
    else:
        yield queries + keys + values + mixed + int(heads.count) * step.widths.float32
    if _is_put_together(attention):
        # Values are a part of what was made at once, and keep all of it.
        yield queries + keys
    if attention.gated and not attention.gates_heads:
        # The gate of each element; that of a whole head is small. Softplus also keeps what entered, in float32.
        yield mixed * (1 if attention.gate == "sigmoid" else 1 + step.widths.float32)
    for norm, size in ((attention.norms.query, queries), (attention.norms.key, keys)):
        if norm is not None:
            one = norm.norm if isinstance(norm, NumberedNorms) else norm
            # Of what was made at once a layer norm keeps its part, which is kept anyway.
            kept = 0 if _is_put_together(attention) and isinstance(one, LayerNorm) else one.saves(step)
            yield size * kept // max(int(one.size), 1)


def _scores(attention: Attention, step: Step) -> int:
    """Scores that are kept where no kernel makes them: their softmax in float32 and as it is used, and their bound."""
    wide = step.widths.float32
    copies = wide + (1 if wide > 1 else 0) + (1 if attention.scores.cap else 0)
    return int(attention.heads.count) * step.seen * copies


def _leaving(attention: Attention, step: Step) -> int:
    """What is kept of what enters o_proj, where that is not what the kernel gave; and its norm."""
    kept = step.adapting(attention, Role.O_PROJ)
    if attention.out_norm:
        # In float32 the norm keeps what the kernel gave, which is kept anyway.
        shared = int(attention.out_norm.size) if step.widths.float32 == 1 else 0
        kept += attention.out_norm.saves(step.past(attention)) - shared
    # Queries that were put together lie in another order, and what the heads put out is copied back.
    copied = _is_put_together(attention) or attention.placing.turned_part(int(attention.heads.size)) is not None
    if copied and attention.gated:
        # What gates multiply is that copy.
        kept += int(attention.heads.count * attention.heads.value_size)
    if copied or attention.gated or attention.out_norm or step.widths.scores:
        kept += step.input_of(attention, Role.O_PROJ)
    return kept


def _is_put_together(attention: Attention) -> bool:
    """Whether one matrix makes queries, keys and values, and the rotation makes queries and keys again."""
    return makes_all_at_once(attention) and attention.placing.turns


def moments(attention: Attention, step: Step) -> Iterator[Moment]:
    """Gradients of what the kernel takes and gave; three of queries while they are turned back; matrices' gradients."""
    heads, width = attention.heads, int(attention.width)
    queries, mixed = int(heads.count * heads.size), int(heads.count * heads.value_size)
    made = queries + int(heads.keys * (heads.size + heads.value_size))
    yield Moment(elements=max(made + mixed, 3 * queries))
    if step.widths.scores:
        # Gradients of the softmax in float32, and of what it gave and took.
        yield Moment(elements=2 * mixed + int(heads.count) * step.seen * 2 * step.widths.float32)
    yield Moment(elements=mixed, weight=step.made(attention, Role.O_PROJ, mixed * width))
    if step.rank(attention, (Role.O_PROJ,)):
        yield Moment(elements=width + step.adding(width))
    if attention.norms.query:
        # Four gradients in float32, when what the kernel took and gave is free.
        yield Moment(elements=queries * (4 * step.widths.float32 - 2))
    if makes_all_at_once(attention):
        yield from _entered(attention, step, made)
    if attention.out_norm:
        freed = step.kept_before(attention, Role.O_PROJ)
        yield from (Moment(elements=moment.elements - freed) for moment in attention.out_norm.backward(step))


def _entered(attention: Attention, step: Step, made: int) -> Iterator[Moment]:
    """While the one matrix's gradient is made, or an adapter's answer is added to what it made, before all else."""
    width, kept = int(attention.width), saved(attention, step)
    yield Moment(elements=made - kept, weight=step.made(attention, Role.Q_PROJ, made * width))
    if step.rank(attention, INPUTS):
        # The layer's stream, what enters, and gradients of what leaves live beside them.
        beside = width * (3 + step.adapter) + step.adapting(attention, *INPUTS)
        yield Moment(elements=beside + step.adding(made) - kept)
