"""Numbers of a config that may not be null, that it lists, or that a class rounds."""

from __future__ import annotations

import struct
from collections.abc import Collection

from weightscope.config import Config
from weightscope.sizes import Size

# More than any model lists for its parts.
MOST_LISTED = 1000


def number(config: Config, key: str) -> float:
    """A number that may not be null.

    Raises:
        ConfigError: it is null.
    """
    value = config[key]
    if value is None:
        raise config.error(f"{key!r} is null, not a number")
    return float(value)


def divisor(config: Config, key: str) -> float:
    """A number that may be neither null nor 0.

    Raises:
        ConfigError: it is.
    """
    value = number(config, key)
    if not value:
        raise config.error(f"{key!r} is 0, but is used as a divisor")
    return value


def numbers(config: Config, key: str, count: int) -> tuple[float, ...]:
    """The first so many numbers, or ones where the config lists none.

    Raises:
        ConfigError: it lists fewer, or something else.
    """
    listed = (config[key] or [1.0] * count)[:count]
    if len(listed) != count or not all(isinstance(value, int | float) for value in listed):
        raise config.error(f"{key!r} is {listed!r:.60}, not {count} numbers")
    return tuple(map(float, listed))


def bfloat16(value: float) -> float:
    """The nearest bfloat16, of two equally near ones the even one."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return float(struct.unpack("<f", struct.pack("<I", nearest))[0])


def listed(config: Config, key: str) -> Collection[int]:
    """The layer numbers that a key lists, none where it is null."""
    return frozenset(layer_numbers(config, key))


def layer_numbers(config: Config, key: str) -> tuple[int, ...]:
    """The layer numbers that a key lists, in their order.

    Raises:
        ConfigError: they are no whole numbers.
    """
    layers = config[key] or ()
    if not all(type(layer) is int for layer in layers):
        raise config.error(f"{key} is not a list of layer numbers")
    return tuple(layers)


def sizes(config: Config, key: str) -> tuple[Size, ...]:
    """The sizes that a key lists, at least one.

    Raises:
        ConfigError: it lists none, more than any model has, or something else than positive whole numbers.
    """
    values = config[key]
    if values and len(values) > MOST_LISTED:
        raise config.error(f"{config.prefix + key!r} lists {len(values):,} numbers, and no model has so many")
    if not values or not all(type(value) is int and value > 0 for value in values):
        raise config.error(f"{config.prefix + key!r} is {values!r:.60}, not a list of positive whole numbers")
    return tuple(Size(value, config.prefix + key) for value in values)
