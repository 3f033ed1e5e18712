"""Which kind each layer is, as configs say it, and what its tokens see."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weightscope.components.attention.sees import CAUSAL, EVERYTHING, Around, Sees, Window
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of

SLIDING, FULL = "sliding_attention", "full_attention"
WINDOWS = {SLIDING: SLIDING, FULL: FULL}
# Of hybrids: the kinds under the names that transformers 5 and earlier releases give them.
LINEAR = "linear_attention"
MIXERS = {LINEAR: LINEAR, "mamba": LINEAR, FULL: FULL, "attention": FULL}


def layer_types(
    config: Config, default: Callable[[int], str], *, key: str = "layer_types", known: Mapping[str, str] = WINDOWS
) -> list[str]:
    """The kind of each layer: what the list under `key` says, or where it is absent what `default` says of its number.

    `known` are the kinds under every name that configs have for them.

    Raises:
        ConfigError: the list is of another length than the model is deep.
        UndeclaredError: a kind of layer that is not known, by name.
    """
    depth, listed = depth_of(config), config[key]
    if listed is None:
        return [default(number) for number in range(depth)]
    if not isinstance(listed, list) or len(listed) != depth:
        raise config.error(f"{key} does not name {depth:,} layers, as num_hidden_layers says")
    for kind in listed:
        if not isinstance(kind, str) or kind not in known:
            raise UndeclaredError(f"layers of the kind {kind!r:.60} are not declared", where=config.source)
    return [known[kind] for kind in listed]


def visible(config: Config, window: int | None = None) -> Sees:
    """What a token sees: itself and all before it, within a window of so many positions if there is one.

    With `is_causal: false` (embedding models made of decoders) later ones too: transformers' masks obey that key of
    any class, and then count a window on both sides.
    """
    if config.declares("is_causal") and config["is_causal"] is False:
        return EVERYTHING if window is None else Around(int(window))
    return CAUSAL if window is None else Window(int(window))
