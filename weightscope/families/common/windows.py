"""Which layers see only a window of positions, read from either way that configs say it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from weightscope.components.base import Indices
from weightscope.config import Config
from weightscope.families.common.dims import depth_of

H = TypeVar("H", bound=Hashable)


def by_window(config: Config, slides: Callable[[int], bool] | None) -> Iterator[tuple[Indices, int | None]]:
    """The layers that share a window, as (indices, window); None is full attention.

    `layer_types`, where the config has it, decides; otherwise `slides` tells which layers have `sliding_window`. A
    family without windows gives no `slides`, and what its config says of them is ignored, as its class does.

    Raises:
        ConfigError: a layer count beyond reason, or `layer_types` of another length.
    """
    depth = depth_of(config)
    if slides is None:
        yield range(depth), None
        return
    window, types = config.get("sliding_window"), config.get("layer_types")
    if window is not None and not isinstance(window, int):
        raise config.error(f"'sliding_window' is {window!r:.60}, not a whole number")
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


def alike(layers: Iterable[int], kind: Callable[[int], H]) -> Iterator[tuple[Indices, H]]:
    """The layers of each kind together, in the order in which the kinds appear."""
    found: dict[H, list[int]] = {}
    for layer in layers:
        found.setdefault(kind(layer), []).append(layer)
    for value, indices in found.items():
        whole = range(indices[0], indices[-1] + 1)
        yield whole if len(whole) == len(indices) else indices, value
