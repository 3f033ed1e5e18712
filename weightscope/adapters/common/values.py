"""Values of adapter_config.json, each of the type that its key has, or refused by its name."""

from __future__ import annotations

from typing import Any

from weightscope.config import Config
from weightscope.config_values import MAX_ITEMS, MAX_TEXT, beyond

# Larger than the longest row of any model.
MOST = 1 << 24


def text(config: Config, key: str, default: str = "") -> str:
    """A string; null is the default.

    Raises:
        ConfigError: it is something else, or too long.
    """
    value = config.data.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _wrong(config, key, value, "a string")
    return value


def flag(config: Config, key: str) -> bool:
    """True or false; null is false.

    Raises:
        ConfigError: it is neither.
    """
    value = config.data.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(config, key, value, "true or false")
    return value


def whole(config: Config, key: str, *, least: int = 1) -> int | None:
    """A whole number of at least `least`; None where the key is absent or null.

    Raises:
        ConfigError: it is something else.
    """
    value = config.data.get(key)
    return None if value is None else _whole(config, key, value, least)


def number(config: Config, key: str) -> float | None:
    """A finite number; None where the key is absent or null.

    Raises:
        ConfigError: it is something else.
    """
    value = config.data.get(key)
    return None if value is None else _number(config, key, value)


def words(config: Config, key: str) -> tuple[str, ...]:
    """The strings of a list; one string stands for a list of it, null for none.

    Raises:
        ConfigError: it is something else.
    """
    value = config.data.get(key)
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MAX_ITEMS:
        raise _wrong(config, key, value, "a list of names")
    if not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT for item in listed):
        raise _wrong(config, key, value, "a list of names")
    return tuple(dict.fromkeys(listed))


def numbers(config: Config, key: str) -> tuple[int, ...]:
    """The whole numbers of a list; one number stands for a list of it, null for none.

    Raises:
        ConfigError: it is something else.
    """
    value = config.data.get(key)
    if value is None:
        return ()
    listed = [value] if isinstance(value, int) else value
    if not isinstance(listed, list) or len(listed) > MAX_ITEMS:
        raise _wrong(config, key, value, "a list of numbers")
    return tuple(_whole(config, key, item, 0) for item in listed)


def ranks(config: Config, key: str) -> tuple[tuple[str, int], ...]:
    """An object of names or patterns, each with a whole number.

    Raises:
        ConfigError: it is something else.
    """
    return tuple((name, _whole(config, key, value, 1)) for name, value in _pairs(config, key))


def kept(config: Config, key: str) -> tuple[tuple[str, int], ...]:
    """The ranks that AdaLoRA kept: an object of names that end in `lora_E`, each with a list of true and false.

    Raises:
        ConfigError: it is something else.
    """
    found = []
    for name, value in _pairs(config, key):
        if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(isinstance(item, bool) for item in value):
            raise _wrong(config, key, value, "an object of lists of true and false")
        found.append((name.partition(".lora_E")[0], sum(value)))
    return tuple(found)


def scales(config: Config, key: str) -> tuple[tuple[str, float], ...]:
    """An object of names or patterns, each with a number.

    Raises:
        ConfigError: it is something else.
    """
    return tuple((name, _number(config, key, value)) for name, value in _pairs(config, key))


def rows(config: Config, key: str, module: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Numbers of tokens by module: an object of lists, or one list, which is of `module`.

    Raises:
        ConfigError: it is something else.
    """
    value = config.data.get(key)
    if not isinstance(value, dict):
        listed = numbers(config, key)
        return ((module, listed),) if listed else ()
    found = []
    for name, listed in _pairs(config, key):
        if not isinstance(listed, list) or len(listed) > MAX_ITEMS:
            raise _wrong(config, key, listed, "a list of numbers")
        found.append((name, tuple(_whole(config, key, item, 0) for item in listed)))
    return tuple(found)


def _pairs(config: Config, key: str) -> list[tuple[str, Any]]:
    value = config.data.get(key)
    if value is None:
        return []
    if not isinstance(value, dict) or len(value) > MAX_ITEMS or any(len(name) > MAX_TEXT for name in value):
        raise _wrong(config, key, value, "an object")
    return list(value.items())


def _whole(config: Config, key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise _wrong(config, key, value, f"a whole number from {least} to {MOST:,}")
    return value


def _number(config: Config, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or beyond(value):
        raise _wrong(config, key, value, "a finite number")
    return float(value)


def _wrong(config: Config, key: str, value: object, wanted: str) -> Exception:
    shown = f"a list of {len(value):,}" if isinstance(value, list | dict) else _shown(value)
    return config.error(f"{key!r} is {shown}, not {wanted}", "restore adapter_config.json from the original adapter")


def _shown(value: object) -> str:
    # Python writes no integer of over 4,300 digits.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST:
        return "a number too large"
    return f"{value!r:.60}"
