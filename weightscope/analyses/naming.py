"""Which tensors a person means: a name, a part of one, a template, a glob, a range as tables show it, or a role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.other_names import OtherNames, names_that_fit
from weightscope.analyses.selecting import GLOB, Pattern, better_pattern
from weightscope.errors import UsageError
from weightscope.ranges import blank, columns, fill, template_of
from weightscope.roles import Role

# Of a name's characters; what is longer is no name that anybody typed.
MAX_TYPED = 1000


class Meant(NamedTuple):
    """The first tensor that is meant, and all of them as titles, kind by kind."""

    name: str
    group: Group
    titles: tuple[str, ...]


def find_meant(typed: str, inventory: Inventory, others: Callable[[], OtherNames]) -> Meant:
    """The tensors that `typed` stands for, by their own names or by their `others`.

    Exact names come first, then what `typed` selects as it is, then a name without its end or its root, and roles. The
    `others` are asked for only if there is no exact name.

    Raises:
        UsageError: there is none; the hint names what is nearest.
    """
    for group in inventory.groups:
        if typed in group.every_name:
            return Meant(typed, group, (typed,))
    if len(typed) <= MAX_TYPED:
        for found in _readings(typed, inventory, others()):
            if found:
                (group, names), titles = found[0], tuple(_title(group, names) for group, names in found)
                return Meant(names[0], group, titles)
    raise UsageError(f"no tensor {typed!r:.200}", hint=_nearest(typed, inventory))


def _readings(typed: str, inventory: Inventory, others: OtherNames) -> Iterator[list[tuple[Group, list[str]]]]:
    """What each way to read it finds, the strictest first."""
    yield _fitting(typed, inventory, others)
    yield _fitting(f"{typed}.weight", inventory, others)
    if typed in set(Role):
        yield [(group, list(group.every_name)) for group in inventory.groups if typed in group.roles]
    if GLOB.match(typed):
        return
    for end in ("", ".weight"):
        yield _fitting(f"*.{typed}{end}", inventory, others)
    # Another root, as transformers and the file have different ones; a layer's number is never left out.
    parts = typed.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdecimal() or "{" in part]
    for root in range(1, min(numbers, default=len(parts) - 1) if len(parts) > 2 else len(parts)):
        tail = ".".join(parts[root:])
        for pattern in (tail, f"*.{tail}", f"{tail}.weight", f"*.{tail}.weight"):
            yield _fitting(pattern, inventory, others)


def _fitting(text: str, inventory: Inventory, others: OtherNames) -> list[tuple[Group, list[str]]]:
    pattern = Pattern.of(text)
    found = [(group, names_that_fit(group, others, pattern.fits)) for group in inventory.groups]
    return [(group, names) for group, names in found if names]


def _title(group: Group, names: list[str]) -> str:
    """Some names of a group as one, with ranges."""
    if len(names) == 1:
        return names[0]
    return fill(group.template, columns(map(group.numbers_of, names)))


def _nearest(typed: str, inventory: Inventory) -> str:
    """Other numbers of the same kind of tensor, or the likeliest slips of the pen; all can be typed in its place."""
    from difflib import get_close_matches

    template = template_of(typed)[0]
    titles: dict[str, str] = {}
    for group in inventory.groups:
        literal = blank(group.template)
        if template in (literal, literal.removesuffix(".weight")):
            return f'there are "{group.title}"'
        titles.setdefault(literal, group.title)
    near = get_close_matches(template, titles, n=2, cutoff=0.5)
    if near:
        quoted = (f'"{titles[title]}"' for title in near)
        return f"did you mean {' or '.join(quoted)}?"
    better = better_pattern(typed[:MAX_TYPED], [group.template for group in inventory.groups])
    if better:
        return f'did you mean "{better[0]}"?'
    return "`weightscope tensors MODEL` lists them"
