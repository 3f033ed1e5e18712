"""The tree by name: a node for each module, opened level by level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from weightscope.browse.nodes import Listed, Node, begin_alike, branch, tensor_node

# Levels; names below have one node each. Names of real models have up to twelve parts.
DEEPEST = 32


def modules(rows: Sequence[Listed], start: int = 0, depth: int = 0) -> list[Node]:
    """The nodes below a module: `rows` are its tensors, whose names have it as their first `start` characters.

    Where a module holds nothing but one other, both are one node.
    """
    if depth == DEEPEST:
        return [tensor_node(listed.row.name[start:], listed) for listed in rows]
    kin: dict[str, list[Listed]] = {}
    for listed in rows:
        part, dot, _ = listed.row.name[start:].partition(".")
        kin.setdefault(part + dot, []).append(listed)
    return [_node(below, start, depth) for below in kin.values()]


def _node(below: Sequence[Listed], start: int, depth: int) -> Node:
    if len(below) == 1:
        return tensor_node(below[0].row.name[start:], below[0])
    names = [listed.row.name for listed in below]
    first, last = min(names), max(names)
    end = first.rindex(".", start, begin_alike(first, last)) + 1
    return branch(first[start : end - 1], below, partial(modules, below, end, depth + 1))
