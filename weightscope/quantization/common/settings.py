"""Settings of quantization read strictly: each value is of the type that its method knows, or refused by its name."""

from __future__ import annotations

from typing import Any

from weightscope.config import Config

Settings = dict[str, Any]
# Larger than the longest row of any model.
MOST = 1 << 24


def whole(config: Config, settings: Settings, key: str, default: int | None = None, *, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        ConfigError: it is another, or absent and has no default.
    """
    value = settings.get(key, default)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        what = "absent" if value is None else f"{value!r:.60}"
        raise config.error(f"{key} of its quantization is {what}, not a number")
    return value


def flag(config: Config, settings: Settings, key: str, *, default: bool = False) -> bool:
    """True or false; null is the default.

    Raises:
        ConfigError: it is neither.
    """
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise config.error(f"{key} of its quantization is {value!r:.60}, not true or false")
    return value


def word(config: Config, settings: Settings, key: str, default: str = "") -> str:
    """A text in lower case; null is the default.

    Raises:
        ConfigError: it is no text.
    """
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise config.error(f"{key} in the quantization settings is {value!r:.60}, not a string")
    return value.lower()


def group_size(config: Config, settings: Settings, key: str, default: int) -> int:
    """How many inputs share a scale; 0 stands for all of them, which configs write as -1.

    Raises:
        ConfigError: it is no such number.
    """
    size = whole(config, settings, key, default, least=-1)
    if size == 0:
        raise config.error(f"{key} of its quantization is 0")
    return max(size, 0)


def names(config: Config, settings: Settings, key: str) -> tuple[str, ...] | None:
    """Module names in a list, or in lists within it; None where the key is absent or null.

    Raises:
        ConfigError: it is something else.
    """
    value = settings.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        flat = [item for part in value for item in (part if isinstance(part, list) else [part])]
        found = tuple(item for item in flat if isinstance(item, str) and item)
        if len(found) == len(flat):
            return found
    raise config.error(f"{key} is not a list of module names")
