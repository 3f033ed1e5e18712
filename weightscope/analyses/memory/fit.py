"""Whether a model fits on devices: what each of them holds, and how long and how many sequences could be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from weightscope.analyses.memory.devices import Device
from weightscope.analyses.memory.divisions import Division
from weightscope.analyses.memory.ranks import Ranks, Stage
from weightscope.analyses.memory.sizing import MOST
from weightscope.analyses.memory.state import DecodeState, Sizing, decode_state
from weightscope.brief import brief
from weightscope.findings import Finding

# The share of a device's memory that serving takes; vLLM's `gpu_memory_utilization` is 0.92.
USABLE = 0.9
BATCHES = (1, 4, 16, 64, 256)
SHORTEST = 1024


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank of one stage holds, in bytes: its weights, and the reserved state of its sequences."""

    stage: int
    weights: int
    state: int


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What the fullest device holds for so many sequences of so many tokens."""

    context: int
    batch: int
    bytes: int
    fits: bool


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the fullest device holds what it would have to; sizes are bytes. Batches are of all replicas together.

    Attributes:
        device: which device.
        ranks: how the model is divided.
        gpus: how many devices.
        usable: what each may hold.
        needed: what the fullest holds.
        fits: whether that is not more.
        stages: what a rank of each stage holds.
        largest_context: tokens a sequence, with the batch that was asked for; 0 where not one fits, None where there is
            no limit.
        largest_batch: sequences, with the context that was asked for; 0 where not one fits, None where there is no
            limit.
        table: the same for other contexts and batches; empty where no state is kept.
        notes: what does not divide, and what is not counted.
    """

    device: Device
    ranks: Ranks
    gpus: int
    usable: int
    needed: int
    fits: bool
    stages: tuple[Held, ...]
    largest_context: int | None
    largest_batch: int | None
    table: tuple[Cell, ...]
    notes: tuple[str, ...]

    __repr__ = brief


def fit(
    stages: Sequence[Stage], sizing: Sizing, device: Device, ranks: Ranks, trained: int | None, division: Division
) -> Fit:
    """The verdict for one device and one division."""
    usable = int(device.memory * USABLE)
    needed = _needed(stages, sizing, ranks)
    return Fit(
        device=device,
        ranks=ranks,
        gpus=ranks.gpus,
        usable=usable,
        needed=needed,
        fits=needed <= usable and not division.undivided,
        stages=tuple(
            Held(stage=place, weights=stage.weights, state=_state(stage, sizing, ranks))
            for place, stage in enumerate(stages)
        ),
        largest_context=_largest_context(stages, sizing, ranks, usable),
        largest_batch=_largest_batch(stages, sizing, ranks, usable),
        table=tuple(_table(stages, sizing, ranks, usable, trained)),
        notes=division.notes,
    )


def findings_of(found: Fit, division: Division, size: Sizing) -> Iterator[Finding]:
    """Why it does not fit, if it does not."""
    for words in division.undivided:
        yield Finding(
            code="does-not-fit",
            severity="error",
            message=f"{words} cannot be divided by {found.ranks.tensor:,} tensor ranks",
            hint="take another number of tensor ranks; key heads may also be repeated, not divided",
        )
    if found.needed > found.usable:
        yield Finding(
            code="does-not-fit",
            severity="error",
            message=f"a device needs {found.needed:,} bytes for {size.batch:,} × {size.context:,} tokens and may use"
            f" {found.usable:,} of {found.device.name}",
            expected=found.usable,
            actual=found.needed,
            hint=_hint(found),
        )


def _hint(found: Fit) -> str:
    if max(held.weights for held in found.stages) > found.usable:
        return "the weights alone are too large: take more or larger devices, or quantized weights"
    most = found.largest_context
    return f"{most:,} tokens fit with that batch" if most else "take fewer sequences, or more devices"


def _needed(stages: Sequence[Stage], sizing: Sizing, ranks: Ranks) -> int:
    return max(stage.weights + _state(stage, sizing, ranks) for stage in stages)


def _state(stage: Stage, sizing: Sizing, ranks: Ranks) -> int:
    """Reserved bytes of the sequences of one replica."""
    if not stage.kept:
        return 0
    batch = -(-sizing.batch // ranks.replicas)
    return _decoded(stage, sizing, sizing.context).total.reserved * batch


def _decoded(stage: Stage, sizing: Sizing, context: int) -> DecodeState:
    return decode_state(stage.kept, msgspec.structs.replace(sizing, context=context, batch=1))


def _largest_batch(stages: Sequence[Stage], sizing: Sizing, ranks: Ranks, usable: int) -> int | None:
    most: int | None = None
    for stage in stages:
        each = _decoded(stage, sizing, sizing.context).total.reserved if stage.kept else 0
        left = usable - stage.weights
        if left < 0:
            return 0
        if each:
            most = left // each if most is None else min(most, left // each)
    return None if most is None else most * ranks.replicas


def _largest_context(stages: Sequence[Stage], sizing: Sizing, ranks: Ranks, usable: int) -> int | None:
    """By halving: the state never shrinks with the context."""

    def holds(context: int) -> bool:
        return _needed(stages, msgspec.structs.replace(sizing, context=context), ranks) <= usable

    if not holds(1):
        return 0
    if holds(MOST):
        return None
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _table(stages: Sequence[Stage], sizing: Sizing, ranks: Ranks, usable: int, trained: int | None) -> Iterator[Cell]:
    """Powers of two up to the trained length, and what was asked for; nothing of a model that keeps no state."""
    if not any(stage.kept for stage in stages):
        return
    most = max(sizing.context, trained or 0)
    powers = (SHORTEST << place for place in range(40))
    contexts = {power for power in powers if power <= most} | {sizing.context}
    for context in sorted(contexts):
        for batch in sorted({*BATCHES, sizing.batch}):
            needed = _needed(stages, msgspec.structs.replace(sizing, context=context, batch=batch), ranks)
            yield Cell(context=context, batch=batch, bytes=needed, fits=needed <= usable)
