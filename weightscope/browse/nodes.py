"""Nodes of the tree: each knows its sums at once, and its children when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.listing import TensorRow

# Nodes side by side; of more, each run of so many has a node of its own.
MOST = 500


class Listed(NamedTuple):
    """A tensor and the group that it belongs to."""

    group: Group
    row: TensorRow


class Amounts(NamedTuple):
    """What lies below a node; parameters are None where nothing tells those of a tensor."""

    tensors: int
    parameters: int | None
    bytes: int


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A tensor, or what has others below it: `listed` is the tensor, `children` makes the nodes below."""

    label: str
    amounts: Amounts
    listed: Listed | None = None
    children: Callable[[], Sequence[Node]] = tuple
    holds: Callable[[str], bool]

    def __repr__(self) -> str:
        # Textual asks for it each time a worker is given a node; what lies below can be 90,000 tensors.
        return f"Node({self.label!r})"


def added(amounts: Iterable[Amounts]) -> Amounts:
    """All together."""
    tensors = size = 0
    parameters: int | None = 0
    for each in amounts:
        tensors += each.tensors
        size += each.bytes
        parameters = None if parameters is None or each.parameters is None else parameters + each.parameters
    return Amounts(tensors, parameters, size)


def tensor_node(label: str, listed: Listed) -> Node:
    """A tensor."""
    row = listed.row
    amounts = Amounts(1, row.parameters, row.bytes)
    return Node(label=label, amounts=amounts, listed=listed, holds=lambda name: name == row.name)


def branch(label: str, below: Sequence[Listed], children: Callable[[], Sequence[Node]]) -> Node:
    """What has these tensors below it."""
    return Node(
        label=label,
        amounts=added(Amounts(1, listed.row.parameters, listed.row.bytes) for listed in below),
        children=children,
        holds=lambda name: any(listed.row.name == name for listed in below),
    )


def begin_alike(first: Sequence[object], second: Sequence[object]) -> int:
    """How many items both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def by_size(nodes: Sequence[Node]) -> list[Node]:
    """The largest first: by bytes, and by parameters where nothing is stored."""
    return sorted(nodes, key=lambda node: (-node.amounts.bytes, -(node.amounts.parameters or 0)))


def in_runs(nodes: Sequence[Node]) -> Sequence[Node]:
    """At most `MOST` nodes: of more, runs of them."""
    while len(nodes) > MOST:
        runs = [nodes[first : first + MOST] for first in range(0, len(nodes), MOST)]
        nodes = [above(f"{run[0].label} … {run[-1].label}", run) for run in runs]
    return nodes


def above(label: str, nodes: Sequence[Node]) -> Node:
    """What has these nodes below it."""
    return Node(
        label=label,
        amounts=added(node.amounts for node in nodes),
        children=lambda: nodes,
        holds=lambda name: any(node.holds(name) for node in nodes),
    )
