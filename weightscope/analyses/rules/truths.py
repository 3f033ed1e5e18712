"""Which keys of the config, set to what, would make every wrong shape fit?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from math import isqrt
from typing import NamedTuple

from weightscope.analyses.groups import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component
from weightscope.components.walk import Slot, find, walk
from weightscope.config import FAULTS, Config, Nullable
from weightscope.config_values import value_at
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import Declaration

OTHER_MODEL = "config.json and weights describe different models"
CONTRADICTION = "config.json contradicts itself: correct that first"
TRANSPOSED = "the matrices are stored transposed: transpose them back (GPT-2 stores in × out, most others out × in)"
# How many values of absent keys, and pairs of keys, are tried: each is a model to declare.
MOST_ABSENT, MOST_PAIRS = 60, 200
# So many times what the config says is the largest value that is looked for by halves.
FURTHEST = 16
MOST_HEADS = 256

# A template and the numbers of the first tensor of a group: a stage's layers have the names of another's.
Place = tuple[str, tuple[int, ...]]
Shapes = Mapping[Place, tuple[int, ...]]


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

    truths = _likely_truths(subject, wrong)
    if len(truths) > len({tuple(key.key for key in truth) for truth in truths}) and any(contradictory_sizes(subject)):
        # Several numbers of heads fit, and the one that is given does not.
        return CONTRADICTION
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
    actual = {_place(group): shape for group in groups for _, shape in group.counts}
    tried = list(dict.fromkeys(_candidates(declaration, wrong)))
    for truths in (tried, list(_absent(declaration, wrong))):
        if single := [(truth,) for truth in truths if _fits(declaration, (truth,), actual)]:
            return list(single)
    pairs = (pair for pair in combinations(tried, 2) if pair[0].key != pair[1].key)
    return [pair for pair in islice(pairs, MOST_PAIRS) if _fits(declaration, pair, actual)]


def _fits(declaration: Declaration, truth: tuple[Truth, ...], actual: Shapes) -> bool:
    values = {key.key: key.value for key in truth}
    return _shapes(declaration, values, actual.keys()) == actual and not _contradicts(declaration, values)


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
        said = value_of(declaration, key)
        if said is None:
            continue
        places = {_place(item.group) for item in wrong}
        # A size that is divided by another (heads) may not grow by 1.
        steps = ((step, _shapes(declaration, {key: said + step}, places)) for step in (1, said))
        step, stepped = next(((step, shapes) for step, shapes in steps if shapes is not None), (0, {}))
        if not step:
            continue
        given = said if _is_given(declaration.config, key) else None
        yield from (Truth(key, value, given) for value in _bisected(declaration, key, said, wrong))
        for item in wrong:
            sizes, after = item.group.shape or (), stepped.get(_place(item.group), ())
            for size, dimension, next_size in zip(sizes, item.shape, after, strict=False):
                slope, missing = next_size - size, (dimension - size) * step
                if dimension != size and slope > 0 and missing % slope == 0 and said + missing // slope > 0:
                    yield Truth(key, said + missing // slope, given)
                # Heads whose size is rounded down: any number that divides the width gives the same.
                if dimension != size and "⌊" in size.text and slope > 0:
                    yield from (Truth(key, value, given) for value in _divisors(dimension) if value <= MOST_HEADS)
                # A key that others are divided by: half of it doubles them.
                if dimension != size and slope <= 0 < size and dimension and said * size % dimension == 0:
                    yield Truth(key, said * int(size) // dimension, given)


def _bisected(declaration: Declaration, key: str, said: int, wrong: Sequence[Wrong]) -> Iterator[int]:
    """The least value that gives the first wrong dimension that a key is squared in, or rounded (image_size)."""
    for item in wrong:
        for axis, (size, dimension) in enumerate(zip(item.group.shape or (), item.shape, strict=False)):
            if key not in size.keys or size == dimension or not {"²", "⌊"} & {*size.text}:
                continue

            def at(value: int, group: Group = item.group, axis: int = axis) -> int:
                shapes = _shapes(declaration, {key: value}, (_place(group),)) or {}
                return next((shape[axis] for shape in shapes.values()), 0)

            yield bisect_left(range(said * FURTHEST), dimension, key=at)
            return


def _divisors(number: int) -> list[int]:
    """All of them, in order."""
    low = [value for value in range(1, isqrt(number) + 1) if number % value == 0]
    return sorted({*low, *(number // value for value in low)})


def _is_given(config: Config, key: str) -> bool:
    return value_at(config.data, key) is not None


def value_of(declaration: Declaration, key: str) -> int | None:
    """The number that a config gives, or its class's default; None of anything else."""
    value = value_at(declaration.config.data, key)
    if value is None and "." not in key:
        default = declaration.family.defaults.get(key)
        value = default.default if isinstance(default, Nullable) else default
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _place(group: Group) -> Place:
    return group.template, tuple(indices[0] for indices in group.ranges)


def _shapes(
    declaration: Declaration, values: Mapping[str, int], places: Iterable[Place]
) -> dict[Place, tuple[int, ...]] | None:
    """The shapes at those places if the config had these values; None where no such model can be declared."""
    slots = declared_with(declaration, values)
    if slots is None:
        return None
    by_template: dict[str, list[Slot]] = {}
    for slot in slots:
        by_template.setdefault(slot.template, []).append(slot)
    return {
        place: tuple(map(int, slot.stored.shape))
        for place in places
        for slot in by_template.get(place[0], ())
        if all(number in indices for number, indices in zip(place[1], slot.ranges, strict=True))
    }


def declared_with(declaration: Declaration, values: Mapping[str, object]) -> list[Slot] | None:
    """The slots if the config had these values; None where no such model can be declared."""
    config = _config_with(declaration, values)
    try:
        if declaration.again:
            return list(declaration.again(config))
        return list(walk(declaration.family.component(config, declaration.root)))
    except (WeightscopeError, *FAULTS):
        return None


def _config_with(declaration: Declaration, values: Mapping[str, object]) -> Config:
    data = dict(declaration.config.data)
    for key, value in values.items():
        part = data
        *outer, last = key.split(".")
        for name in outer:
            part[name] = dict(part[name])
            part = part[name]
        part[last] = value
    return Config(data, source=declaration.config.source)


def _contradicts(declaration: Declaration, values: Mapping[str, int]) -> bool:
    """Whether sizes of a declared model conflict if the config has these values."""
    tree = declaration.family.component(_config_with(declaration, values), declaration.root)
    return any(conflict for part in find(tree, Component) for conflict in part.conflicts())
