"""Has every tensor the shape that the config gives it, and if not, which config would fit?"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from weightscope.analyses.inventory import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import walk
from weightscope.config import FAULTS, Config, Nullable
from weightscope.errors import WeightscopeError
from weightscope.families.registry import Declaration
from weightscope.findings import Finding
from weightscope.ranges import Title, summed
from weightscope.sizes import Shape

DAMAGED = "the others of its kind fit: these were damaged or come from another model; save the checkpoint again"
OTHER_MODEL = "config.json and weights describe different models"
QUANTIZED = "the sizes of the quantization are other than the config's: are weights and config of the same export?"


class Wrong(NamedTuple):
    """Tensors of one group that have one other shape than the config's."""

    group: Group
    shape: tuple[int, ...]
    names: tuple[str, ...]


class Truth(NamedTuple):
    """One key that, set to `value`, makes every shape fit; `said` is what the config says or its class's default."""

    key: str
    value: int
    said: int


def misshapen_tensors(subject: Subject) -> Iterator[Finding]:
    """`shape-mismatch`, an error a group, in config terms; with the one key that explains them all, if there is one."""
    if not subject.has_shapes:
        return
    wrong = [item for group in subject.inventory.groups for item in _strange(group, subject)]
    plain = [item for item in wrong if not item.group.packed]
    hint = _hint(subject, plain) if plain else ""
    for item in wrong:
        sizes: Shape = item.group.shape or ()
        expected = [int(size) for size in sizes]
        packed = item.group.packed
        some = len(item.names) < item.group.tensors
        titles = summed(item.names) if some else [Title(item.group.title, item.group.names)]
        verb = "is" if len(item.names) == 1 else f"all {len(item.names):,} are"
        yield Finding(
            code="quantization-mismatch" if packed else "shape-mismatch",
            severity="error",
            message=f"{', '.join(titles[:3])}: {verb} {list(item.shape)}, the config says {expected}"
            f" ({' × '.join(size.text for size in sizes)})",
            tensors=tuple(titles),
            expected=expected,
            actual=list(item.shape),
            config=("quantization_config",) * packed + tuple(dict.fromkeys(key for size in sizes for key in size.keys)),
            hint=QUANTIZED if packed else DAMAGED if some else hint,
        )


def _strange(group: Group, subject: Subject) -> Iterator[Wrong]:
    if group.shape is None:
        return
    expected = tuple(int(size) for size in group.shape)
    shapes = dict.fromkeys(shape for _, shape in group.counts if shape != expected)
    if len(group.counts) == 1:
        yield from (Wrong(group, shape, group.names) for shape in shapes)
        return
    names: dict[tuple[int, ...], list[str]] = {}
    for name in group.names:
        names.setdefault(subject.checkpoint.tensors[name].shape, []).append(name)
    yield from (Wrong(group, shape, tuple(names[shape])) for shape in shapes)


def _hint(subject: Subject, wrong: list[Wrong]) -> str:
    """Every single key and value that would mend all of them; several are all said, for the shapes cannot choose."""
    from weightscope.analyses.rules.config import contradictory_sizes

    if any(contradictory_sizes(subject)):
        return OTHER_MODEL
    truths = _likely_truths(subject, wrong)
    if not truths:
        return OTHER_MODEL
    fitting = " or ".join(f"{truth.key} = {truth.value:,}" for truth in truths[:3])
    said = ", ".join(f"{truth.said:,}" for truth in truths[:3])
    return f"every {_what(subject, wrong)} fits {fitting}; the config says {said}"


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
    return "shape that differs" if spared & roles.keys() else " and ".join(roles)


def _likely_truths(subject: Subject, wrong: list[Wrong]) -> list[Truth]:
    declaration = subject.declaration
    if declaration is None or any(len(item.group.counts) > 1 for item in wrong):
        return []
    groups = (group for group in subject.inventory.groups if group.shape and not group.packed)
    actual = {group.template: shape for group in groups for _, shape in group.counts}
    tried = dict.fromkeys(_candidates(declaration, wrong))
    return [truth for truth in tried if _shapes(declaration, truth.key, truth.value, actual.keys()) == actual]


def _candidates(declaration: Declaration, wrong: list[Wrong]) -> Iterator[Truth]:
    """What each key of a wrong dimension would have to be, if the dimension grows with it as it does by one step."""
    for key in dict.fromkeys(key for item in wrong for size in item.group.shape or () for key in size.keys):
        said = _value(declaration, key)
        stepped = None if said is None else _shapes(declaration, key, said + 1, {item.group.template for item in wrong})
        if said is None or stepped is None:
            continue
        for item in wrong:
            sizes, after = item.group.shape or (), stepped.get(item.group.template, ())
            for size, dimension, next_size in zip(sizes, item.shape, after, strict=False):
                slope, missing = next_size - size, dimension - size
                if dimension != size and slope > 0 and missing % slope == 0 and said + missing // slope > 0:
                    yield Truth(key, said + missing // slope, said)
                # A key that others are divided by: half of it doubles them.
                if dimension != size and slope <= 0 < size and dimension and said * size % dimension == 0:
                    yield Truth(key, said * int(size) // dimension, said)


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
    declaration: Declaration, key: str, value: int, wanted: Container[str]
) -> dict[str, tuple[int, ...]] | None:
    """The shapes of those templates if the config said `value`; None where no such model can be declared."""
    data = part = dict(declaration.config.data)
    *outer, last = key.split(".")
    for name in outer:
        part[name] = dict(part[name])
        part = part[name]
    part[last] = value
    config = Config(data, source=declaration.config.source)
    try:
        slots = list(walk(declaration.family.component(config, declaration.root)))
    except (WeightscopeError, *FAULTS):
        return None
    return {slot.template: tuple(map(int, slot.stored.shape)) for slot in slots if slot.template in wanted}
