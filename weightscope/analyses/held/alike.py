"""Whether two declarations are of the same model, whatever their configs spell and however a number was rounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

# Fields that say where weights lie or how a config is checked, and not what is computed.
LAYOUT = {"name", "router", "stacked", "even"}
# GGUF keeps a config's numbers in float32.
ROUNDED = 1e-6


def same(one: object, other: object) -> bool:
    """Whether two declared trees, or two values of a config, have the same parts, sizes and settings."""
    if one == other or (_is_storage(one) and _is_storage(other)):
        return True
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isinstance(one, float) and math.isclose(one, other, rel_tol=ROUNDED)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, _sorted(one), _sorted(other)))
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        meant = (name for name in one.__struct_fields__ if name not in LAYOUT)
        return all(same(getattr(one, name), getattr(other, name)) for name in meant)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return False


def _sorted(items: Sequence[object]) -> Sequence[object]:
    """Pairs of a key and a value in the order of their keys, others as they are."""
    pairs = {item[0]: item for item in items if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)}
    return [pairs[key] for key in sorted(pairs)] if len(pairs) == len(items) else items


def _is_storage(value: object) -> bool:
    """Whether it says how weights lie on disk, which is no part of what they mean."""
    items = value if isinstance(value, tuple) and value else (value,)
    return all(hasattr(item, "tensors") and hasattr(item, "read") for item in items)
