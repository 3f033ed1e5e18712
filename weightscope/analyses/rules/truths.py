"""Which keys of the config, set to what, would make every wrong shape fit?"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import NamedTuple

from weightscope.analyses.groups import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.components.walk import walk
from weightscope.config import FAULTS, Config, Nullable
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import Declaration

OTHER_MODEL = "config.json and weights describe different models"
TRANSPOSED = "the matrices are stored transposed: transpose them back (GPT-2 stores in × out, most others out × in)"
# How many values of absent keys, and pairs of keys, are tried: each is a model to declare.
MOST_ABSENT, MOST_PAIRS = 60, 200

Shapes = Mapping[str, tuple[int, ...]]


class Wrong(NamedTuple):
    """Tensors of one group that have one other shape than the config's."""

    group: Group
    shape: tuple[int, ...]
    names: Sequence[str]


class Truth(NamedTuple):
    """A key and the value that it would have to have; `said` is what the config says, None where it does not."""

    key: str
    value: int
    said: int | None


def likely_hint(subject: Subject, wrong: list[Wrong]) -> str:
    """Every key and value that would make all of them fit; several are all said, for the shapes cannot choose."""
    from weightscope.analyses.rules.config import contradictory_sizes

    if any(contradictory_sizes(subject)):
        return OTHER_MODEL
    truths = _likely_truths(subject, wrong)
    if not truths:
        turned = all(len(w.shape) > 1 and w.shape == (w.group.shape or ())[::-1] for w in wrong)
        return TRANSPOSED if turned else OTHER_MODEL
    what = f"every {_what(subject, wrong)} fits "
    if all(key.said is not None for truth in truths[:3] for key in truth):
        fitting = " or ".join(" and ".join(f"{key.key} = {key.value:,}" for key in truth) for truth in truths[:3])
        said = ", ".join(f"{key.said:,}" for truth in truths[:3] for key in truth)
        return f"{what}{fitting}; config.json says {said}"
    return what + " or ".join(" and ".join(map(_one, truth)) for truth in truths[:3])


def _one(truth: Truth) -> str:
    said = "which config.json leaves out" if truth.said is None else f"but config.json says {truth.said:,}"
    return f"{truth.key} = {truth.value:,}, {said}"


def _likely_truths(subject: Subject, wrong: list[Wrong]) -> list[tuple[Truth, ...]]:
    """Single keys that make every shape fit, or else pairs of keys."""
    declaration = subject.declaration
    if declaration is None or any(len(item.group.counts) > 1 for item in wrong):
        return []
    groups = (group for group in subject.inventory.groups if group.shape and not group.packed)
    actual = {group.template: shape for group in groups for _, shape in group.counts}
    tried = list(dict.fromkeys(_candidates(declaration, wrong)))
    for truths in (tried, list(_absent(declaration, wrong))):
        if single := [(truth,) for truth in truths if _fits(declaration, (truth,), actual)]:
            return list(single)
    pairs = (pair for pair in combinations(tried, 2) if pair[0].key != pair[1].key)
    return [pair for pair in islice(pairs, MOST_PAIRS) if _fits(declaration, pair, actual)]


def _fits(declaration: Declaration, truth: tuple[Truth, ...], actual: Shapes) -> bool:
    return _shapes(declaration, {key.key: key.value for key in truth}, actual.keys()) == actual


def _absent(declaration: Declaration, wrong: list[Wrong]) -> Iterator[Truth]:
    """Values of keys that may be left out and then follow from others (head_dim): a wrong size divided by a number."""
    given, defaults = declaration.config.data, declaration.family.defaults
    keys = [k for k, default in defaults.items() if isinstance(default, Nullable) and default.kind is int]
    keys = [key for key in keys if given.get(key) is None]
    numbers = {v for v in given.values() if isinstance(v, int) and not isinstance(v, bool) and v > 0} | {1}
    numbers |= {a // b for a in numbers for b in numbers if a % b == 0}
    sizes = {
        size
        for item in wrong
        for size, expected in zip(item.shape, item.group.shape or (), strict=False)
        if size != expected
    }
    values = sorted({size // number for size in sizes for number in numbers if size % number == 0})
    yield from islice((Truth(key, value, None) for key in keys for value in values), MOST_ABSENT)


def _what(subject: Subject, wrong: list[Wrong]) -> str:
    """The roles, where all tensors of these roles are meant; else just the shapes that differ."""
    roles = dict.fromkeys(role for item in wrong for role in item.group.roles)
    affected = {id(item.group) for item in wrong}
    spared = {
        role
        for group in subject.inventory.groups
        if id(group) not in affected and len(group.shape or ()) > 1
        for role in group.roles
    }
    return "wrong shape" if spared & roles.keys() else " and ".join(roles)


def _candidates(declaration: Declaration, wrong: list[Wrong]) -> Iterator[Truth]:
    """What each key of a wrong dimension would have to be, if the dimension grows with it as it does by one step."""
    for key in dict.fromkeys(key for item in wrong for size in item.group.shape or () for key in size.keys):
        said = _value(declaration, key)
        stepped = (
            None if said is None else _shapes(declaration, {key: said + 1}, {item.group.template for item in wrong})
        )
        if said is None or stepped is None:
            continue
        given = said if _is_given(declaration.config, key) else None
        for item in wrong:
            sizes, after = item.group.shape or (), stepped.get(item.group.template, ())
            for size, dimension, next_size in zip(sizes, item.shape, after, strict=False):
                slope, missing = next_size - size, dimension - size
                if dimension != size and slope > 0 and missing % slope == 0 and said + missing // slope > 0:
                    yield Truth(key, said + missing // slope, given)
                # A key that others are divided by: half of it doubles them.
                if dimension != size and slope <= 0 < size and dimension and said * size % dimension == 0:
                    yield Truth(key, said * int(size) // dimension, given)


def _is_given(config: Config, key: str) -> bool:
    value: object = config.data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value is not None


def _value(declaration: Declaration, key: str) -> int | None:
    config = declaration.config
    value: object = config.data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None and "." not in key:
        default = declaration.family.defaults.get(key)
        value = default.default if isinstance(default, Nullable) else default
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shapes(
    declaration: Declaration, values: Mapping[str, int], wanted: Container[str]
) -> dict[str, tuple[int, ...]] | None:
    """The shapes of those templates if the config had these values; None where no such model can be declared."""
    data = dict(declaration.config.data)
    for key, value in values.items():
        part = data
        *outer, last = key.split(".")
        for name in outer:
            part[name] = dict(part[name])
            part = part[name]
        part[last] = value
    config = Config(data, source=declaration.config.source)
    try:
        if declaration.again:
            slots = list(declaration.again(config))
        else:
            slots = list(walk(declaration.family.component(config, declaration.root)))
    except (WeightscopeError, *FAULTS):
        return None
    return {slot.template: tuple(map(int, slot.stored.shape)) for slot in slots if slot.template in wanted}
