"""A family's model for one config: its tree, and its tensors as they lie on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from weightscope.brief import brief
from weightscope.components.base import Component, Group
from weightscope.components.embedding import Head
from weightscope.components.walk import Slot, find, walk
from weightscope.config import Config
from weightscope.families.registry import Family, find_family
from weightscope.quantization.registry import Beside, method_of
from weightscope.roles import Role
from weightscope.sizes import Size

if TYPE_CHECKING:
    from weightscope.families.covering import OnDisk
    from weightscope.quantization.common.evidence import Mismatch, Tensors
    from weightscope.quantization.common.method import Method
    from weightscope.quantization.common.modules import Covered, Schemes

# The largest published model has 0.1 million tensors.
MAX_TENSORS = 5_000_000
# Dimensions are 63-bit numbers.
MAX_DIMENSION = 2**63 - 1


class Declaration(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A family's model for one config: the tree, its tensors with quantization applied, the spelling that fits.

    `method` is what the config, or the `settings_file` beside it, says of quantization; `covered` are the weights that
    are quantized, by the config and, once `settled`, by what the files hold; `mismatches` are those of which the two
    disagree. A `part` is the language model of a wrapper that no family declares: what else is stored is not its
    affair. One that is `contained` has the slots of a container with names and a layout of its own (GGUF), and
    `covered` says how each weight is read from it; `again` gives the slots that the same container would have under
    another config.
    """

    family: Family
    config: Config
    root: str
    tree: Component
    slots: tuple[Slot, ...]
    method: Method | None
    settings_file: str | None = None
    covered: tuple[Covered, ...]
    mismatches: tuple[Mismatch, ...] = ()
    part: bool = False
    contained: bool = False
    again: Callable[[Config], tuple[Slot, ...]] | None = None

    __repr__ = brief

    @property
    def tied(self) -> bool:
        """Whether the config ties the head to the token embedding."""
        return any(head.tied for head in find(self.tree, Head))

    @cached_property
    def schemes(self) -> Schemes:
        """The scheme of each weight, by the name that it has before quantization."""
        from weightscope.quantization.common.modules import Schemes

        return Schemes(self.covered)


def declare(config: Config, names: Tensors | None = None, *, beside: Beside | None = None) -> Declaration | None:
    """The declaration of a config, under the root that most of `names` are spelled with; None for unknown types.

    With the entries of the names, roots that are spelled alike are told apart by shapes. `beside` gives the content of
    a JSON file beside config.json, which may say how the weights are quantized.

    Raises:
        ConfigError: the config does not say what its family or its quantization needs.
        UndeclaredError: the type is known, but not this part of it.
    """
    found = find_family(config.model_type)
    if found is None:
        return None
    with config.describing(config.model_type):
        said = method_of(config, beside)
        best = _declare_best(found, config, names, said.method)
    return replace(best, settings_file=said.file) if best is not None and said.file else best


def _declare_best(found: Family, config: Config, names: Tensors | None, method: Method | None) -> Declaration | None:
    if names is None:
        base = config.is_base_model and "" in found.roots
        return _declare(found, config, "" if base else found.roots[0], method)
    best: Declaration | None = None
    most = (-1, 0, False)
    for root in found.roots:
        declaration = _declare(found, config, root, method)
        required = [slot for slot in declaration.slots if not slot.stored.optional]
        hits = sum((slot.first_name() in names) + (slot.last_name() in names) for slot in required)
        misfits = _misfits(required, names)
        whole = hits == 2 * len(required)
        fit = (hits, -misfits, whole)
        if fit > most:
            best, most = declaration, fit
        if whole and not misfits and root not in found.parts:
            break
    return best


def _misfits(slots: Iterable[Slot], tensors: Tensors) -> int:
    """How many stacks, kernels and tables of tokens have another shape, and matrices theirs turned.

    Some do under the same names.
    """
    if not isinstance(tensors, Mapping):
        return 0
    count = 0
    for slot in slots:
        shape, entry = slot.stored.shape, tensors.get(slot.first_name())
        if entry is None or entry.shape == shape:
            continue
        stack, turned = len(shape) == 3 and entry.shape not in slot.stored.also, entry.shape == shape[::-1]
        table = any(role is Role.TOKEN_EMBEDDING for role, _ in slot.stored.parts)
        count += stack or turned or table
    return count


def declare_under(config: Config, wanted: Collection[str]) -> Declaration | None:
    """The declaration under the first of the family's roots that is one of these, or its usual one; None if unknown.

    Raises:
        ConfigError, UndeclaredError: as for `declare`.
    """
    found = find_family(config.model_type)
    if found is None:
        return None
    with config.describing(config.model_type):
        root = next((root for root in found.roots if root in wanted), found.roots[0])
        return _declare(found, config, root, None)


def declare_part(config: Config, root: str | None, prefix: str) -> Declaration | None:
    """The declaration of a wrapper's language model, moved below `prefix`; None for unknown types.

    Raises:
        ConfigError, UndeclaredError: as for a whole model.
    """
    found = find_family(config.model_type)
    if found is None:
        return None
    declaration = _declare(found, config, found.roots[0] if root is None else root, method_of(config).method, prefix)
    return replace(declaration, part=True)


def _declare(found: Family, config: Config, root: str, method: Method | None, prefix: str = "") -> Declaration:
    tree = found.component(config, root)
    if prefix:
        tree = Group(name=prefix, parts=(tree,))
    slots = list(walk(tree))
    _check_shapes(slots, config)
    if sum(slot.count for slot in slots) > MAX_TENSORS:
        raise config.error(f"describes over {MAX_TENSORS:,} tensors", "check its layer and expert counts")
    on_disk, covered = (merged(slots), ()) if method is None else _quantized(slots, method, config)
    return Declaration(family=found, config=config, root=root, tree=tree, slots=on_disk, method=method, covered=covered)


def _quantized(slots: Iterable[Slot], method: Method, config: Config) -> OnDisk:
    # Few models need it, and none is to wait for its import.
    from weightscope.families.covering import quantized

    return quantized(slots, method, config)


def _check_shapes(slots: Iterable[Slot], config: Config) -> None:
    """Raise unless every dimension is a number that one can be."""
    for slot in slots:
        dimensions: tuple[object, ...] = slot.stored.shape
        for size in dimensions:
            if not isinstance(size, int) or not 0 <= size <= MAX_DIMENSION:
                shown = f"{size!r:.60}" if not isinstance(size, int) else "negative" if size < 0 else "too large"
                keys = f" ({', '.join(size.keys)})" if isinstance(size, Size) and size.keys else ""
                raise config.error(
                    f"a dimension of {slot.template} is {shown}{keys}", "a model with these sizes cannot be built"
                )


def merged(slots: list[Slot]) -> tuple[Slot, ...]:
    """Slots that differ only in their layers as one: layers may alternate in maths and yet store the same."""
    found: dict[tuple[object, ...], Slot] = {}
    for slot in slots:
        whole = slot
        stored = slot.stored
        key = (slot.template, stored.shape, stored.parts, slot.ranges[1:], slot.section, stored.optional, stored.scheme)
        same = found.get(key)
        if same is not None and slot.ranges:
            layers = sorted({*same.ranges[0], *slot.ranges[0]})
            whole = replace(same, ranges=(layers, *same.ranges[1:]))
        found[key] = whole
    return tuple(found.values())
