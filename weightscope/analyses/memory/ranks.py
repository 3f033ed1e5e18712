"""What each rank holds of a model that is divided: weights and decode state, stage by stage.

Tensor parallelism divides matrices and heads, pipeline parallelism layers, expert parallelism routed experts. The rules
are those of vLLM (`vllm/distributed/utils.py`, `vllm/model_executor/layers/linear.py`, 2026): vectors, routers and the
projections to latents are on every rank; more ranks than key heads keep each head several times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.memory.kept import Kept
from weightscope.brief import plural
from weightscope.components.base import Component
from weightscope.errors import UsageError
from weightscope.roles import SENSES, Role

# Every rank has these whole.
WHOLE = frozenset(
    {
        Role.ROUTER, Role.Q_A_PROJ, Role.KV_A_PROJ, Role.INDEX_Q_PROJ, Role.INDEX_K_PROJ, Role.INDEX_WEIGHT,
        Role.COMPRESSOR_PROJ, Role.COMPRESSOR_GATE, Role.COMPRESSOR_BIAS,
    }
)  # fmt: skip
KEYS = frozenset({Role.K_PROJ, Role.V_PROJ})
# What is beside the layers of the language model: the first stage has it, but for the head and the last norm.
LAST = frozenset({Role.LM_HEAD, Role.FINAL_NORM})


class Ranks(msgspec.Struct, frozen=True, kw_only=True):
    """How many ranks divide each matrix, the layers, and the experts; `replicas` of all that share the batch."""

    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    replicas: int = 1

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.tensor * self.pipeline * self.replicas


def ranks_of(gpus: int | None, tensor: int | None, pipeline: int, expert: int) -> Ranks:
    """What was asked for; without a number of tensor ranks all devices of a stage are.

    Raises:
        UsageError: the numbers do not go together.
    """
    for name, number in (("--gpus", gpus), ("--tp", tensor), ("--pp", pipeline), ("--ep", expert)):
        if number is not None and not 1 <= number <= 1_000_000:
            raise UsageError(f"{name} is {number:,}: it is from 1 to 1,000,000")
    total = gpus or (tensor or 1) * pipeline
    if total % pipeline or total % ((tensor or 1) * pipeline):
        among = f"{plural(tensor, 'tensor rank')} and " if tensor else ""
        raise UsageError(f"{plural(total, 'GPU')} cannot be divided into {among}{plural(pipeline, 'stage')}")
    each = tensor or total // pipeline
    if each % expert:
        raise UsageError(f"--ep {expert} does not divide the {each} tensor ranks that share the experts")
    return Ranks(tensor=each, pipeline=pipeline, expert=expert, replicas=total // (each * pipeline))


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What each rank of one stage holds: bytes of weights, and what it keeps of a sequence."""

    weights: int
    kept: tuple[Kept, ...]


def partition(depth: int, stages: int) -> list[int]:
    """How many layers each stage has: as equal as can be, the rest from the last but one backwards."""
    each, rest = divmod(depth, stages)
    counts = [each] * stages
    for place in range(rest):
        counts[-2 - place if place + 2 <= stages else -1] += 1
    return counts


def stages_of(
    loaded: Sequence[tuple[Group, int]],
    owners: Mapping[str, Component],
    kept: Sequence[Kept],
    ranks: Ranks,
    depth: int,
    *,
    tied: bool,
) -> list[Stage]:
    """The stages of a model of so many layers; `loaded` are the bytes of each group, `owners` who has each template."""
    counts = partition(depth, ranks.pipeline)
    starts = [sum(counts[:place]) for place in range(len(counts))]
    found = []
    for place, (start, count) in enumerate(zip(starts, counts, strict=True)):
        here = range(start, start + count)
        weights = 0.0
        for group, size in loaded:
            part = _here(group, here, place, ranks.pipeline, tied=tied)
            weights += size * part * _share(group, owners.get(group.template), ranks) if part else 0
        found.append(Stage(weights=round(weights), kept=tuple(_kept_here(kept, here, ranks))))
    return found


def _here(group: Group, here: range, place: int, stages: int, *, tied: bool) -> float:
    """Which part of a group lies in the stage."""
    first, last = place == 0, place == stages - 1
    if (counts := group.layer_place) is not None and group.section not in SENSES:
        numbers = group.ranges[counts]
        return sum(number in here for number in numbers) / max(len(numbers), 1)
    if LAST & set(group.roles):
        return float(last)
    twice = tied and Role.TOKEN_EMBEDDING in group.roles
    return float(first or (twice and last))


def _share(group: Group, owner: Component | None, ranks: Ranks) -> float:
    """Which part of a group one tensor rank holds."""
    if "expert" in group.kinds or group.chosen != (1, 1):
        experts = group.chosen[1]
        return -(-experts // ranks.expert) / experts / (ranks.tensor // ranks.expert)
    shapes = [shape for _, shape in group.counts]
    if all(len(shape) < 2 for shape in shapes) or set(group.roles) & WHOLE:
        return 1.0
    whole = sum(count for _, count in group.parts) or 1
    of_keys = min(ranks.tensor, _key_parts(owner))
    return sum(count / whole / (of_keys if role in KEYS else ranks.tensor) for role, count in group.parts)


def _key_parts(owner: Component | None) -> int:
    """Into how many parts the keys of an attention can be divided."""
    states = owner.keeps() if owner else None
    return max([1, *(state.parts for state in states)]) if states else 1_000_000


def _kept_here(kept: Iterable[Kept], here: range, ranks: Ranks) -> Iterator[Kept]:
    for part in kept:
        if part.auxiliary:
            continue
        layers = tuple(number for number in part.layers if number in here)
        if part.layers and not layers:
            continue
        count = part.count * len(layers) // len(part.layers) if part.layers else part.count
        states = tuple(state.on_rank(ranks.tensor) for state in part.states)
        yield replace(part, states=states, count=count, layers=layers)
