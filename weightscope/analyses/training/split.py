"""What a plan trains and what stays frozen, by component and in all."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from weightscope.analyses.accounting import counted, share_of
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.training.grammar import Lora, Plan
from weightscope.analyses.training.low_rank import Adapted, Hits, find_hits
from weightscope.analyses.training.matrices import matrices
from weightscope.analyses.training.parts import FULL, LANGUAGE, OTHER, PART_ORDER, PARTS, part_of
from weightscope.analyses.tying import Tying
from weightscope.brief import Displayed, brief
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import UsageError
from weightscope.families.declaration import Declaration
from weightscope.roles import SECTION_ORDER, Role, Section
from weightscope.storage.base import Kind


class TrainedComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One component: `trained` and `frozen` add up to `parameters` and `added`; `share` is the trained part of both.

    `part` is `vision`, `audio`, `projector`, `language`, `adapter` or `other`. `added` are LoRA's new parameters.
    """

    component: str
    part: str
    parameters: int | None
    added: int
    trained: int | None
    frozen: int | None
    share: float | None
    inferred: bool = False


class LoraCount(msgspec.Struct, frozen=True, kw_only=True):
    """LoRA's rank and targets, and what they hit: how many `matrices`, and the parameters that are `added`."""

    rank: int
    targets: tuple[str, ...]
    matrices: int
    added: int
    adapted: tuple[Adapted, ...]


class Trainable(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """What is trained and what is frozen, without the weights that the main model runs without.

    Attributes:
        plan: as it was given.
        parameters: the model's weights; None where nothing tells.
        added: LoRA's new parameters.
        trained: of both together.
        frozen: of both together.
        share: the trained part, from 0 to 1.
        lora: LoRA's rank and targets and what they hit; None without LoRA.
        components: the same by component.
        notes: what to know of the plan.
    """

    plan: str
    parameters: int | None
    added: int
    trained: int | None
    frozen: int | None
    share: float | None
    lora: LoraCount | None
    components: tuple[TrainedComponent, ...]
    notes: tuple[str, ...]

    __repr__ = brief


def split(
    plan: Plan, declaration: Declaration | None, inventory: Inventory, checkpoint: Checkpoint, tying: Tying
) -> Trainable:
    """Count a plan on a model.

    Raises:
        UsageError: the model lacks a part, a target hits nothing, the rank is beyond all sizes.
        NotImplementedByWeightscope: what is hit cannot be counted.
    """
    groups = [group for group in inventory.counted if group.kind is not Kind.BUFFER and not group.auxiliary]
    whole = whole_parts(plan, groups, tying)
    hits = hits_of(plan, whole, declaration, inventory, checkpoint, tying)
    components = tuple(_components(groups, plan, whole, hits, tying))
    trained, frozen = _sum(row.trained for row in components), _sum(row.frozen for row in components)
    added = sum(part.added for part in hits.adapted)
    parameters = _sum(row.parameters for row in components)
    return Trainable(
        plan=plan.text,
        parameters=parameters,
        added=added,
        trained=trained,
        frozen=frozen,
        share=share_of(trained, None if parameters is None else parameters + added),
        lora=_lora(plan.lora, hits) if plan.lora else None,
        components=components,
        notes=(*_notes(plan, groups, whole, tying), *hits.notes),
    )


def hits_of(
    plan: Plan,
    whole: frozenset[Section],
    declaration: Declaration | None,
    inventory: Inventory,
    checkpoint: Checkpoint,
    tying: Tying,
) -> Hits:
    """The matrices beside which the plan has adapters; none without LoRA.

    Raises:
        UsageError: a target hits nothing, the rank is beyond all sizes.
        NotImplementedByWeightscope: what is hit cannot be counted.
    """
    if not plan.lora:
        return Hits()
    model_type = declaration.config.model_type if declaration else ""
    return find_hits(plan.lora, [*matrices(declaration, inventory, checkpoint, tying)], whole, model_type)


def whole_parts(plan: Plan, groups: Iterable[Group], tying: Tying) -> frozenset[Section]:
    """The components that are trained as they are.

    Raises:
        UsageError: the model has none of a part.
    """
    present = {group.section for group in groups} | ({Section.HEAD} if tying.tied else set())
    found: set[Section] = set()
    for part in plan.parts:
        if not PARTS[part] & present:
            there = dict.fromkeys(part_of(section) for section in sorted(present, key=SECTION_ORDER.__getitem__))
            more = [str(s) for s in sorted(present & PARTS[LANGUAGE], key=SECTION_ORDER.__getitem__)]
            has = ", ".join(there) + (f" (language: {', '.join(more)})" if more else "")
            raise UsageError(f"--trainable {part}: the model has no {part} component", hint=f"it has {has}")
        found |= PARTS[part] & present
    return frozenset(found)


def _components(
    groups: Iterable[Group], plan: Plan, whole: frozenset[Section], hits: Hits, tying: Tying
) -> Iterable[TrainedComponent]:
    """In the order in which data meets them, those of the language model together."""
    rows: dict[tuple[Section, str], list[Group]] = {}
    for group in groups:
        rows.setdefault((group.section, _part(group)), []).append(group)
    added: dict[str, int] = {}
    for adapted in hits.adapted:
        added[adapted.component] = added.get(adapted.component, 0) + adapted.added
    # A tied head that is not stored has no row unless LoRA stands beside it.
    if Section.HEAD in added:
        rows.setdefault((Section.HEAD, LANGUAGE), [])
    for (section, part), members in sorted(rows.items(), key=lambda row: _order(*row[0])):
        parameters = _sum(None if group.uncounted else counted(group, tying) for group in members)
        base = _sum(
            None if group.uncounted else counted(group, tying)
            for group in members
            if is_trained(group, plan, whole, tying)
        )
        new = added.get(section, 0)
        trained = None if base is None else base + new
        frozen = None if parameters is None or base is None else parameters - base
        yield TrainedComponent(
            component=str(section),
            part=part,
            parameters=parameters,
            added=new,
            trained=trained,
            frozen=frozen,
            share=share_of(trained, None if parameters is None else parameters + new),
            inferred=any(group.inferred for group in members),
        )


def _order(section: Section, part: str) -> tuple[int, int]:
    return PART_ORDER.index(part), SECTION_ORDER[section]


def _part(group: Group) -> str:
    """What no name tells the place of is not taken for a piece of the language model."""
    if group.section is Section.ADAPTER and not group.inferred:
        # Zamba2's own, without which its layers are not whole.
        return LANGUAGE
    return OTHER if group.section is Section.OTHER and group.inferred else part_of(group.section)


def is_trained(group: Group, plan: Plan, whole: frozenset[Section], tying: Tying) -> bool:
    """Whether a group's weights are trained themselves; `whole` are the components that the plan trains."""
    if _part(group) == OTHER:
        return FULL in plan.parts
    if group.section in whole or _part(group) in plan.parts:
        return True
    # One matrix under two names: training the head trains the table.
    is_table = group.section is Section.EMBEDDING and Role.TOKEN_EMBEDDING in group.roles
    return tying.tied and Section.HEAD in whole and is_table


def _lora(lora: Lora, hits: Hits) -> LoraCount:
    return LoraCount(
        rank=lora.rank,
        targets=lora.targets,
        matrices=sum(part.matrices for part in hits.adapted),
        added=sum(part.added for part in hits.adapted),
        adapted=hits.adapted,
    )


def _notes(plan: Plan, groups: Iterable[Group], whole: frozenset[Section], tying: Tying) -> Iterable[str]:
    one = {Section.HEAD, Section.EMBEDDING} & whole
    if tying.tied and len(one) == 1 and FULL not in plan.parts:
        yield "The head is tied to the token embedding: one matrix, trained as both and counted once, as embedding."
    quantized = [g for g in groups if g.scheme and g.kind is Kind.WEIGHT and is_trained(g, plan, whole, tying)]
    if quantized:
        yield "Quantized weights are counted as the weights they stand for; dequantize them before training them."
    if LANGUAGE in plan.parts and any(_part(group) == OTHER for group in groups):
        yield "What has no known place (other) is left frozen."


def _sum(numbers: Iterable[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
