"""Has every tensor the shape that the config gives it, and if not, which config would fit?"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

from weightscope.analyses.inventory import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import walk
from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.families.registry import Declaration
from weightscope.findings import Finding


class Truth(NamedTuple):
    """One key that, set to `value`, makes every shape fit."""

    key: str
    value: int
    said: int


def misshapen_tensors(subject: Subject) -> Iterator[Finding]:
    """`shape-mismatch`, an error a group, in config terms; with the one key that explains them all, if there is one."""
    wrong = [(group, shape, count) for group in subject.inventory.groups for shape, count in _strange(group)]
    if not wrong or not subject.has_shapes:
        return
    truth = _likely_truth(subject, [(group, shape) for group, shape, _ in wrong])
    hint = "config.json and weights describe different models"
    if truth:
        roles = " and ".join(dict.fromkeys(str(role) for group, _, _ in wrong for role in group.roles))
        hint = f"every {roles} fits {truth.key} = {truth.value:,}; the config says {truth.said:,}"
    for group, shape, count in wrong:
        sizes = group.shape or ()
        expected = [int(size) for size in sizes]
        yield Finding(
            code="shape-mismatch",
            severity="error",
            message=f"{group.title}: {_of(count, group.tensors)} {list(shape)}, the config says {expected}"
            f" ({' × '.join(size.text for size in sizes)})",
            tensors=(group.title,),
            expected=expected,
            actual=list(shape),
            config=tuple(dict.fromkeys(key for size in sizes for key in size.keys)),
            hint=hint,
        )


def _strange(group: Group) -> Iterator[tuple[tuple[int, ...], int]]:
    if group.shape is None:
        return
    expected = tuple(int(size) for size in group.shape)
    for (_, shape), count in group.counts.items():
        if shape != expected:
            yield shape, count


def _of(count: int, total: int) -> str:
    if count == total:
        return "is" if total == 1 else f"all {total:,} are"
    return f"{count:,} of {total:,} are" if count > 1 else f"1 of {total:,} is"


def _likely_truth(subject: Subject, wrong: list[tuple[Group, tuple[int, ...]]]) -> Truth | None:
    """Try each value of a key that would mend one dimension; right is the one that mends all and breaks none."""
    declaration = subject.declaration
    if declaration is None or any(len(group.counts) > 1 for group, _ in wrong):
        return None
    actual = {group.template: shape for group in subject.inventory.groups if group.shape for _, shape in group.counts}
    for key, value, said in dict.fromkeys(_candidates(declaration.config, wrong)):
        if _fits(declaration, key, value, actual):
            return Truth(key, value, said)
    return None


def _candidates(config: Config, wrong: list[tuple[Group, tuple[int, ...]]]) -> Iterator[Truth]:
    for group, shape in wrong:
        for size, dimension in zip(group.shape or (), shape, strict=False):
            if dimension == size:
                continue
            for key in size.keys:
                said = _value(config, key)
                # The other factors of the dimension stay as they are.
                if said and dimension * said % size == 0:
                    yield Truth(key, dimension * said // size, said)


def _value(config: Config, key: str) -> int | None:
    value: object = config.data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _fits(declaration: Declaration, key: str, value: int, actual: dict[str, tuple[int, ...]]) -> bool:
    data = deepcopy(dict(declaration.config.data))
    *outer, last = key.split(".")
    part = data
    for name in outer:
        part = part[name]
    part[last] = value
    config = Config(data, source=declaration.config.source)
    try:
        slots = list(walk(declaration.family.component(config, declaration.root)))
    except ConfigError:
        return False
    shapes = {slot.template: tuple(int(size) for size in slot.stored.shape) for slot in slots}
    scheme = declaration.scheme
    if scheme:
        for slot in slots:
            if scheme.applies(slot.stored):
                shapes |= {part.name: tuple(int(n) for n in part.shape) for part in scheme.expand(slot.stored)}
    return all(shapes.get(template) == shape for template, shape in actual.items())
