"""Sizes of vision encoders that work in stages: lists with a number for each."""

from __future__ import annotations

from weightscope.config import Config
from weightscope.families.common.dims import MAX_LAYERS
from weightscope.sizes import Size

# More than any model has.
MAX_STAGES = 16


def sizes_of(config: Config, key: str, count: int = 0) -> list[Size]:
    """A list of sizes, one a stage.

    Raises:
        ConfigError: it is none, or has fewer than `count`.
    """
    value = config[key]
    if not all(type(size) is int and size > 0 for size in value) or not 0 < len(value) <= MAX_STAGES:
        raise config.error(f"{key!r} is {value!r:.60}, not a list of sizes")
    if len(value) < count:
        raise config.error(f"{key!r} has {len(value):,} sizes for {count:,} stages")
    return [Size(size, config.prefix + key) for size in value]


def depths_of(config: Config) -> list[Size]:
    """How many layers each stage has, before anything is listed by them.

    Raises:
        ConfigError: it is no list of numbers, or has one beyond reason.
    """
    depths = sizes_of(config, "depths")
    if max(depths) > MAX_LAYERS:
        raise config.error(f"'depths' has {max(depths):,} layers, and no model has so many", "correct the config")
    return depths


def scaled(size: Size, ratio: float, key: str) -> Size:
    """A size times a ratio, rounded down."""
    if ratio == int(ratio):
        return size * Size(int(ratio), key)
    return Size(int(int(size) * ratio), f"⌊{size.factor}·{key}⌋", (*size.keys, key))
