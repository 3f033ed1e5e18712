"""How much: parameters counted once each, by whatever one asks to see them."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.dtypes import byte_size
from weightscope.roles import ROLE_ORDER, SECTION_ORDER, Role, Section
from weightscope.storage.base import Kind


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of docs/counting.md; None is what nothing tells, and all are None without shapes.

    Attributes:
        total: logical weights, each once.
        active: `total` without the routed experts that one token does not use; None in a mixture of an undeclared type.
        non_embedding: `total` without token and position embeddings and the head; None where nothing tells which
            weights are embeddings.
        auxiliary: weights beside the total, which the main model runs without (multi-token prediction).
        buffers: elements of the main model's buffers.
        stored_elements: elements in the files, of scales and buffers too.
        bits_per_parameter: bits in the files for each weight of `total`, scales included; None where nothing is stored,
            or where integers may be packed weights of which no declaration tells how many.
    """

    total: int | None
    active: int | None
    non_embedding: int | None
    auxiliary: int | None
    buffers: int | None
    stored_elements: int | None
    bits_per_parameter: float | None


UNKNOWN = Parameters(
    total=None,
    active=None,
    non_embedding=None,
    auxiliary=None,
    buffers=None,
    stored_elements=None,
    bits_per_parameter=None,
)


class RoleShare(msgspec.Struct, frozen=True, kw_only=True):
    """One role within a component.

    Attributes:
        role: such as `q_proj`.
        tensors: how many.
        parameters: their weights; None without shapes.
        bytes: in the files.
        inferred: whether the role was guessed from names.
    """

    role: str
    tensors: int
    parameters: int | None
    bytes: int
    inferred: bool = False


class ComponentShare(msgspec.Struct, frozen=True, kw_only=True):
    """One component, such as attention, of all layers together.

    Attributes:
        component: such as `attention`, `mlp`, `moe`, `vision`.
        tensors: how many different ones; one that fuses two roles counts once.
        parameters: their weights; None without shapes.
        share: from 0 to 1, of all weights, auxiliary ones included.
        bytes: in the files.
        roles: the roles in it.
    """

    component: str
    tensors: int
    parameters: int | None
    share: float | None
    bytes: int
    roles: tuple[RoleShare, ...]


class BufferShare(msgspec.Struct, frozen=True, kw_only=True):
    """All buffers, those of auxiliary parts included: what is stored and is no parameter."""

    tensors: int
    elements: int
    bytes: int


class DtypeShare(msgspec.Struct, frozen=True, kw_only=True):
    """All tensors of one element type; another tensor's storage again has no elements or bytes of its own."""

    dtype: str
    tensors: int
    elements: int
    bytes: int


def counted(group: Group, tying: Tying) -> int:
    """The parameters that a group adds: a head stored apart from the embedding it is tied to adds none."""
    return 0 if tying.tied and tying.head in group.names else group.parameters


def _embedding_is_known(inventory: Inventory) -> bool:
    """Whether a declaration tells which weights are embeddings, or a name does."""
    return any(not group.inferred or group.section is Section.EMBEDDING for group in inventory.groups)


def count_parameters(inventory: Inventory, tying: Tying) -> Parameters:
    """The totals of the whole checkpoint."""
    if not inventory.measured:
        return UNKNOWN
    total = active = embedding = auxiliary = buffers = stored = stored_bytes = 0
    guessed = any(group.inferred and group.section is Section.MOE for group in inventory.groups)
    for group in inventory.counted:
        count = counted(group, tying)
        if not group.alias:
            stored += group.elements
        if group.kind is Kind.BUFFER:
            buffers += 0 if group.auxiliary else group.elements
        elif group.auxiliary:
            auxiliary += count
        else:
            total += count
            active += count * group.chosen[0] // max(group.chosen[1], 1)
            stored_bytes += group.bytes if count or group.kind is Kind.SCALE else 0
            if group.section in (Section.EMBEDDING, Section.HEAD):
                embedding += count
    packed = any(group.uncounted for group in inventory.groups)
    held = total - sum(group.unstored for group in inventory.computed)
    return Parameters(
        total=None if packed else total,
        active=None if guessed or packed else active,
        non_embedding=None if packed or not _embedding_is_known(inventory) else total - embedding,
        auxiliary=auxiliary,
        buffers=buffers,
        stored_elements=stored,
        bits_per_parameter=round(stored_bytes * 8 / held, 4) if held and stored_bytes and not packed else None,
    )


def count_whole(inventory: Inventory, tying: Tying) -> int | None:
    """What shares are of: all that is counted, auxiliary parts included; None where a part is not known."""
    return add(inventory.counted, tying)


def add(groups: Iterable[Group], tying: Tying) -> int | None:
    """The parameters of several groups; None where nothing tells those of one."""
    total = 0
    for group in groups:
        if group.uncounted:
            return None
        total += counted(group, tying)
    return total


def share_of(part: int | None, whole: int | None) -> float | None:
    """The part as a share of the whole; 0 of nothing, None of what is not known."""
    if part is None or whole is None:
        return None
    return part / whole if whole else 0.0


def by_component(inventory: Inventory, tying: Tying) -> tuple[ComponentShare, ...]:
    """Components in the order in which data meets them, auxiliary ones last; buffers are in none."""
    whole = count_whole(inventory, tying)
    sections: dict[Section, list[Group]] = {}
    for group in inventory.counted:
        if group.kind is not Kind.BUFFER:
            sections.setdefault(group.section, []).append(group)
    shares = []
    for section in sorted(sections, key=SECTION_ORDER.__getitem__):
        groups = sections[section]
        parameters = add(groups, tying)
        shares.append(
            ComponentShare(
                component=section,
                tensors=sum(group.tensors for group in groups),
                parameters=parameters,
                share=share_of(parameters, whole),
                bytes=sum(group.bytes for group in groups),
                roles=_roles(groups, tying),
            )
        )
    return tuple(shares)


def _roles(groups: list[Group], tying: Tying) -> tuple[RoleShare, ...]:
    rows: dict[Role, list[int]] = {}
    inferred: set[Role] = set()
    unknown: set[Role] = set()
    for group in groups:
        bytes_of = dict(group.shares(group.bytes))
        unknown.update(group.roles if group.uncounted else ())
        for role, parameters in group.shares(counted(group, tying)):
            row = rows.setdefault(role, [0, 0, 0])
            row[0] += group.tensors
            row[1] += parameters
            row[2] += bytes_of[role]
            if group.inferred:
                inferred.add(role)
    return tuple(
        RoleShare(
            role=role,
            tensors=row[0],
            parameters=None if role in unknown else row[1],
            bytes=row[2],
            inferred=role in inferred,
        )
        for role, row in sorted(rows.items(), key=lambda item: ROLE_ORDER[item[0]])
    )


def count_buffers(inventory: Inventory) -> BufferShare:
    """What no breakdown of the parameters has, so that its tensors and bytes add up to those of the files."""
    buffers = [group for group in inventory.groups if group.kind is Kind.BUFFER]
    return BufferShare(
        tensors=sum(group.tensors for group in buffers),
        elements=sum(group.elements for group in buffers if not group.alias),
        bytes=sum(group.bytes for group in buffers),
    )


def by_dtype(inventory: Inventory) -> tuple[DtypeShare, ...]:
    """Element types as stored, most bytes first."""
    rows: dict[str, list[int]] = {}
    for group in inventory.groups:
        for (dtype, shape), count in group.counts.items():
            if dtype is None:
                continue
            row = rows.setdefault(dtype, [0, 0, 0])
            row[0] += count
            if not group.alias:
                row[1] += prod(shape) * count
                row[2] += byte_size(dtype, shape) * count
    shares = [DtypeShare(dtype=d, tensors=row[0], elements=row[1], bytes=row[2]) for d, row in rows.items()]
    return tuple(sorted(shares, key=lambda share: (-share.bytes, share.dtype)))
