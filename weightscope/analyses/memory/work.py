"""How much is computed and read for a token: multiply-adds by component, and the time that reading alone takes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.memory.devices import Device
from weightscope.analyses.memory.kept import runnable_of
from weightscope.analyses.memory.loading import Loading
from weightscope.analyses.memory.ranks import Ranks
from weightscope.analyses.memory.state import Sizing
from weightscope.analyses.rules.subject import Subject
from weightscope.brief import brief
from weightscope.components.base import Component, Indices, Repeat
from weightscope.components.shared import LowRank
from weightscope.components.state import PerSource
from weightscope.components.walk import Slot, find, walk
from weightscope.components.work import Work
from weightscope.roles import SENSES, Role, Section, section_of
from weightscope.storage.base import Kind, join

# Tables that are looked up, and numbers that multiply element by element.
NO_PRODUCTS = frozenset(
    {
        Role.TOKEN_EMBEDDING, Role.POSITION_EMBEDDING, Role.LAYER_EMBEDDING, Role.RELATIVE_POSITION, Role.A_LOG,
        Role.TIME_MIX_KEY, Role.TIME_MIX_VALUE, Role.TIME_MIX_RECEPTANCE, Role.COMPRESSOR_BIAS, Role.ROUTER_BIAS,
        Role.TOKEN_TYPE_EMBEDDING, Role.D, Role.DT_BIAS,
    }
)  # fmt: skip
KEYS = frozenset({Role.K_PROJ, Role.V_PROJ})
# A part's template, and the numbers of the repeated parts that it is in.
Place = tuple[str, tuple[Indices, ...]]


class WorkRow(msgspec.Struct, frozen=True, kw_only=True):
    """Multiply-adds of one new token in one component.

    Attributes:
        component: such as `attention`.
        weights: by its weights.
        context: over the tokens before.
    """

    component: str
    weights: int
    context: int


class TokenWork(msgspec.Struct, frozen=True, kw_only=True):
    """Multiply-adds of one sequence, and what a decode step of the batch has to read.

    Attributes:
        decode: multiply-adds of the token after the context.
        prefill: multiply-adds of the whole context.
        rows: those of `decode` by component.
        read: bytes that a step of the whole batch reads at least: the weights that one token uses, and the state.
        intensity: operations (two a multiply-add) for each byte.
        floor_seconds: how long the reading takes at least; None where no bandwidth is known.
    """

    decode: int
    prefill: int
    rows: tuple[WorkRow, ...]
    read: int
    intensity: float
    floor_seconds: float | None

    __repr__ = brief


def token_work(
    subject: Subject, loaded: Loading, sizing: Sizing, state: int, device: Device | None, ranks: Ranks
) -> TokenWork | None:
    """The work of a model that writes, whose batch keeps `state` bytes; None of any other."""
    runnable = runnable_of(subject)
    if subject.declaration is None or runnable is None or runnable.writer is None:
        return None
    prefix = _path(subject.declaration.tree, runnable.writer, "") or ""
    idle = () if sizing.source else tuple(_idle(subject.declaration.tree, ""))
    products = _products(subject.declaration.tree, prefix, idle)
    mixing: dict[str, int] = {}
    prefill = sum(count for section, count in products.items() if section != Section.HEAD) * sizing.context
    for section, work, count in _mixing(runnable.writer, None, 1):
        mixing[section] = mixing.get(section, 0) + work.at(sizing.context + 1, sizing.source) * count
        prefill += work.over(sizing.context, sizing.source) * count
    rows = tuple(
        WorkRow(component=section, weights=products.get(section, 0), context=mixing.get(section, 0))
        for section in dict.fromkeys([*products, *mixing])
    )
    decode = sum(row.weights + row.context for row in rows)
    read = _read(loaded, _prefix_in_gguf(loaded) if loaded.contained else prefix, tied=subject.tying.tied) + state
    bandwidth = device.bandwidth if device else None
    return TokenWork(
        decode=decode,
        prefill=prefill + products.get(Section.HEAD, 0),
        rows=rows,
        read=read,
        intensity=round(2 * decode * sizing.batch / read, 3) if read else 0.0,
        floor_seconds=read / (bandwidth * ranks.tensor) if bandwidth else None,
    )


def _prefix_in_gguf(loaded: Loading) -> str:
    """What the names of the decoder begin with in a GGUF file that has an encoder too; otherwise nothing."""
    decodes = any(group.template.startswith("dec.") for group in loaded.groups)
    return "dec" if decodes else ""


def _path(tree: Component, part: Component, prefix: str) -> str | None:
    """The module path of a part of the tree."""
    here = join(prefix, tree.name)
    if tree is part:
        return here
    for child in tree.children():
        if not isinstance(child, Repeat) and (found := _path(child, part, here)) is not None:
            return found
    return None


def _products(tree: Component, prefix: str, idle: tuple[Place, ...]) -> dict[str, int]:
    """Multiply-adds of one token with the weights of each component; weights that layers share count in each layer."""
    found: dict[str, int] = {}
    for slot in walk(tree):
        roles = frozenset(role for role, _ in slot.stored.parts)
        matrix = slot.stored.kind is Kind.WEIGHT and len(slot.stored.shape) > 1 and not NO_PRODUCTS & roles
        if slot.auxiliary or not matrix or any(section_of(role) is Section.NORM for role in roles):
            continue
        # An adapter of a block that several layers share is used in one of them.
        if isinstance(slot.owner, LowRank) and slot.stored.optional:
            continue
        if _is_idle(slot, idle) or not _is_used(slot.template, slot.section, roles, slot.owner, prefix):
            continue
        chosen, of = slot.chosen
        count = slot.stored.elements * slot.count * chosen // max(of, 1)
        found[slot.section] = found.get(slot.section, 0) + count
    return found


def _idle(component: Component, prefix: str, ranges: tuple[Indices, ...] = ()) -> Iterator[Place]:
    """What does nothing without anything to look at: attention to it, and layers that have no other."""
    here = join(prefix, component.name)
    if isinstance(component, Repeat):
        here, ranges = f"{here}.{component.number_prefix}{{}}", (*ranges, component.indices)
    works = [work for part in find(component, Component) for work in part.mixes()]
    if works and all(work.of_source for work in works):
        yield f"{here}.", ranges
        return
    for child in component.children():
        yield from _idle(child, here, ranges)


def _is_idle(slot: Slot, idle: tuple[Place, ...]) -> bool:
    return any(slot.template.startswith(here) and slot.ranges[: len(ranges)] == ranges for here, ranges in idle)


def _read(loaded: Loading, prefix: str, *, tied: bool) -> int:
    """Bytes of the weights that one token uses; of a table that is looked up it reads next to nothing."""
    read = 0
    for group, size in zip(loaded.groups, loaded.sizes, strict=True):
        roles = frozenset(group.roles)
        owner = loaded.owners.get(group.template)
        table = Role.TOKEN_EMBEDDING in roles
        if tied if table else _is_used(group.template, group.section, roles, owner, prefix):
            chosen, of = group.chosen
            read += size * chosen // max(of, 1)
    return read


def _is_used(template: str, section: Section, roles: frozenset[Role], owner: Component | None, prefix: str) -> bool:
    """Whether a decode step uses it: not what sees, hears or reads a text, nor what makes keys of that."""
    if Role.LM_HEAD in roles:
        return True
    if section in SENSES or (prefix and not template.startswith(f"{prefix}.")):
        return False
    if owner is None or not KEYS & roles:
        return True
    states = owner.keeps()
    # Keys of a source are made once, and those of another layer are taken.
    return states is None or (bool(states) and not any(isinstance(state, PerSource) for state in states))


def _mixing(component: Component, section: Section | None, count: int) -> Iterator[tuple[str, Work, int]]:
    """What each component mixes, with the component of the breakdown that it belongs to, and how many there are."""
    section = component.section or section
    if component.auxiliary or section in SENSES:
        return
    if isinstance(component, Repeat):
        count *= len(component.indices)
    for work in component.mixes() if count else ():
        yield str(section or Section.ATTENTION), work, count
    for child in component.children():
        yield from _mixing(child, section, count)
