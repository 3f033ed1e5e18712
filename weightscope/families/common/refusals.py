"""What a family refuses by name: the whole config where names or shapes depend on it, or the forward pass alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weightscope.config import Config


def refuse(config: Config, model: str, unset: Iterable[str]) -> None:
    """Refuse a config that sets one of these keys to anything but null, false or 0.

    Raises:
        UndeclaredError: it does, by name.
    """
    for key in unset:
        if config[key]:
            raise config.undeclared(f"{model} with {config.prefix}{key} is not declared")


def require(config: Config, model: str, declared: Mapping[str, Any]) -> None:
    """Refuse a config that has another value than the declared one.

    Raises:
        UndeclaredError: it has, by name.
    """
    for key, value in declared.items():
        if config[key] != value:
            raise config.undeclared(f"{model} with {config.prefix}{key} {config[key]!r:.60} is not declared")


def refuse_backbone(config: Config) -> None:
    """Refuse a tower that was saved for use within another model: it has other norms than the model itself.

    Raises:
        UndeclaredError: it was, by name.
    """
    if config.architecture.endswith("Backbone"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")


def not_computed(config: Config, model: str, computed: Mapping[str, Any]) -> str:
    """Why there is no forward pass: the first key whose value is not computed; empty for none.

    `computed` has the value that is, or several in a tuple. For keys that names and shapes do not depend on: all but
    the pass goes on.
    """
    for key, value in computed.items():
        if config[key] not in (value if isinstance(value, tuple) else (value,)):
            return f"{model} with {config.prefix}{key} {config[key]!r:.60}"
    return ""
