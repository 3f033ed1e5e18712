"""The tree by component, role and layer, made from groups of tensors: rows are made of what is opened."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from weightscope.analyses.accounting import add
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.listing import Listing
from weightscope.analyses.tying import Tying
from weightscope.browse.nodes import Amounts, Listed, Node, begin_alike, branch, tensor_node
from weightscope.checkpoint.reader import Checkpoint
from weightscope.output.columns import mark
from weightscope.ranges import before
from weightscope.roles import ROLE_ORDER, SECTION_ORDER

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class ByRole:
    """The nodes of one model."""

    def __init__(self, inventory: Inventory, checkpoint: Checkpoint, tying: Tying) -> None:
        self._inventory, self._tying = inventory, tying
        self._listing = Listing(checkpoint, tying)

    def components(self) -> list[Node]:
        """A node a component, in the order in which data meets them."""
        kin = _kin(self._inventory.groups, lambda group: group.section)
        return [
            self._node(str(section), kin[section], partial(self._roles, kin[section]))
            for section in sorted(kin, key=SECTION_ORDER.__getitem__)
        ]

    def _roles(self, groups: Sequence[Group]) -> list[Node]:
        """A node a role; tensors that hold the same several roles have one together."""
        kin = _kin(groups, lambda group: group.roles)
        return [
            self._role(mark(" + ".join(roles), inferred=any(group.inferred for group in kin[roles])), kin[roles])
            for roles in sorted(kin, key=lambda roles: [ROLE_ORDER[role] for role in roles])
        ]

    def _role(self, label: str, groups: Sequence[Group]) -> Node:
        if sum(group.tensors for group in groups) == 1:
            return tensor_node(label, self._rows(groups)[0])
        return self._node(label, groups, partial(self._stacks, groups))

    def _stacks(self, groups: Sequence[Group]) -> list[Node]:
        """What is in no layer, and the layers; of several stacks of layers, each has a node."""
        kin = _kin(self._rows(groups), _stack)
        outside = [tensor_node(listed.row.name, listed) for listed in kin.pop(None, [])]
        stacks = [(stack or "", rows) for stack, rows in kin.items()]
        if len(stacks) == 1:
            return [*outside, *_layers(stacks[0][1])]
        return [*outside, *(branch(stack, rows, partial(_layers, rows)) for stack, rows in stacks)]

    def _rows(self, groups: Iterable[Group]) -> list[Listed]:
        return [Listed(group, row) for group in groups for row in self._listing.rows_of(group)]

    def _node(self, label: str, groups: Sequence[Group], children: Callable[[], Sequence[Node]]) -> Node:
        amounts = Amounts(
            sum(group.tensors for group in groups),
            add(groups, self._tying),
            sum(group.bytes for group in groups),
        )
        return Node(label=label, amounts=amounts, children=children, holds=partial(_in_groups, groups))


def _in_groups(groups: Iterable[Group], name: str) -> bool:
    return any(name in group.every_name for group in groups)


def _stack(listed: Listed) -> str | None:
    return None if listed.row.layer is None else before(listed.group.template).rstrip(".")


def _layers(rows: Sequence[Listed]) -> list[Node]:
    """A node a layer."""
    return _numbered("layer", _kin(rows, lambda listed: listed.row.layer or 0), _experts)


def _experts(rows: Sequence[Listed]) -> list[Node]:
    """What no expert has, and a node an expert."""
    kin = _kin(rows, _expert)
    shared = _tensors(kin.pop(None, []), rows)
    return [*shared, *_numbered("expert", {number or 0: below for number, below in kin.items()}, _tensors)]


def _numbered(
    word: str, kin: dict[int, list[Listed]], children: Callable[[Sequence[Listed]], Sequence[Node]]
) -> list[Node]:
    """A node a number, which is the tensor itself where there is one."""
    return [
        tensor_node(f"{word} {number}", below[0])
        if len(below) == 1
        else branch(f"{word} {number}", below, partial(children, below))
        for number, below in sorted(kin.items())
    ]


def _expert(listed: Listed) -> int | None:
    group = listed.group
    if group.inferred or "expert" not in group.kinds:
        return None
    return group.numbers_of(listed.row.name)[group.kinds.index("expert")]


def _tensors(rows: Sequence[Listed], among: Sequence[Listed] | None = None) -> list[Node]:
    """Each by what tells its name from the others', and from those that it is `among`."""
    names = [listed.row.name.split(".") for listed in among or rows]
    common = begin_alike(min(names), max(names))
    return [tensor_node(_end(listed.row.name.split("."), common), listed) for listed in rows]


def _end(parts: list[str], start: int) -> str:
    """The parts of a name from a place on, the last one at least."""
    return ".".join(parts[min(start, len(parts) - 1) :])


def _kin(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items that have the same key together, in the order in which they come."""
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
