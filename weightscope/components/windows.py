"""Which layers see only a window of positions, read from either way that configs say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from weightscope.components.base import Indices
from weightscope.config import Config

MAX_LAYERS = 100_000


def by_window(config: Config, slides: Callable[[int], bool]) -> Iterator[tuple[Indices, int | None]]:
    """The layers that share a window, as (indices, window); None is full attention.

    `layer_types`, where the config has it, decides; otherwise `slides` tells which layers have `sliding_window`.

    Raises:
        ConfigError: a layer count beyond reason, or `layer_types` of another length.
    """
    depth, window = config["num_hidden_layers"], config.get("sliding_window")
    if depth > MAX_LAYERS:
        raise config.error(f"num_hidden_layers is {depth:,}")
    types = config.get("layer_types")
    if types is not None:
        if not isinstance(types, list) or len(types) != depth:
            raise config.error(f"layer_types does not name {depth:,} layers, as num_hidden_layers says")
        sliding = [kind == "sliding_attention" for kind in types]
    else:
        sliding = [slides(layer) for layer in range(depth)]
    if window is None or not any(sliding):
        yield range(depth), None
    elif all(sliding):
        yield range(depth), int(window)
    else:
        yield [layer for layer in range(depth) if sliding[layer]], int(window)
        yield [layer for layer in range(depth) if not sliding[layer]], None
