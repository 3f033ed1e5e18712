"""What a config means: the value of each key that the declaration reads, whether the file states it or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.config import Config, Nullable
from weightscope.families.declaration import Declaration
from weightscope.families.registry import find_family

# What says how a config was written, and nothing about the model.
WRITTEN = {"_name_or_path", "_commit_hash", "transformers_version", "torch_dtype", "dtype", "auto_map", "use_cache"}


def meaning(config: Config | None, declaration: Declaration | None) -> dict[str, Any]:
    """Dotted keys with their values, defaults of their classes where the file leaves them out.

    Without a declaration nothing tells which keys matter, and all are given but those that say how it was written.
    """
    if config is None:
        return {}
    if declaration is None:
        return {key: value for key, value in sorted(_flat(config.data)) if key.split(".")[-1] not in WRITTEN}
    keys = sorted({"model_type", *declaration.config.read})
    found = {key: _value(config.data, key.split(".")) for key in keys}
    # A nested config is given by its own keys.
    return {key: value for key, value in found.items() if not isinstance(value, Mapping) or not _has_parts(key, keys)}


def _has_parts(key: str, keys: list[str]) -> bool:
    return any(other.startswith(f"{key}.") for other in keys)


def _value(data: Mapping[str, Any], path: list[str]) -> Any:
    key, *rest = path
    value = data.get(key, _default(data, key))
    if not rest:
        return value
    return _value(value, rest) if isinstance(value, Mapping) else None


def _default(data: Mapping[str, Any], key: str) -> Any:
    """Of the class that the config's own model type names."""
    kind = data.get("model_type")
    family = find_family(kind) if isinstance(kind, str) else None
    if family is None:
        return None
    default = family.defaults.get(family.attribute_map.get(key, key))
    if isinstance(default, Nullable):
        default = default.default
    return None if isinstance(default, type) else default


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        nested = isinstance(value, Mapping) and value
        found += _flat(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", value)]
    return found
