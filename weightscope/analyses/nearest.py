"""Which tensors a name that no tensor has may have meant."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.ranges import blank, template_of

# Kinds of tensors that are compared; a model whose tensors are declared has some ninety.
COMPARED = 2_000
# How alike two names are at least, from 0 to 1.
ALIKE = 0.5


def same_but_for_numbers(name: str, inventory: Inventory) -> Group | None:
    """The tensors with this name but for the numbers of layers and experts."""
    template = template_of(name)[0]
    return next((group for group in inventory.groups if blank(group.template) == template), None)


def nearest_groups(name: str, inventory: Inventory, most: int = 2) -> list[Group]:
    """Tensors whose names are most like this one, best first."""
    from difflib import get_close_matches

    template = template_of(name)[0]
    groups: dict[str, Group] = {}
    for group in inventory.groups[:COMPARED]:
        groups.setdefault(blank(group.template), group)
    if full := groups.get(f"{template}.weight"):
        return [full]
    return [groups[found] for found in get_close_matches(template, groups, n=most, cutoff=ALIKE)]


def nearest_name(name: str, inventory: Inventory) -> str | None:
    """The stored name that is most like this one; None where nothing is like it."""
    same = same_but_for_numbers(name, inventory)
    groups = [same] if same else nearest_groups(name, inventory, most=1)
    names = groups[0].names if groups else ()
    return min(names, key=lambda other: _distances(name, other), default=None)


def _distances(name: str, other: str) -> tuple[int, ...]:
    """How far the numbers of two names are apart."""
    return tuple(abs(first - second) for first, second in zip(_numbers(name), _numbers(other), strict=False))


def _numbers(name: str) -> Iterable[int]:
    return template_of(name)[1]
