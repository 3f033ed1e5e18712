"""What Laguna says layer by layer, and Mellum 2 in part: rotations and heads. Source: `LagunaConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Heads, Rope
from weightscope.config import Config
from weightscope.families.common import Dims, rotary
from weightscope.sizes import Size


def rope_of(config: Config, head_dim: int, kind: str, usual: dict[str, Any]) -> Rope:
    """What `rope_parameters`, or where it is absent `usual`, says of a kind of layer.

    Raises:
        ConfigError: it says nothing of it, or a share of a head that no rotation has.
    """
    settings = (config["rope_parameters"] or usual).get(kind)
    if not isinstance(settings, dict):
        raise config.error(f"rope_parameters says nothing of {kind}")
    share = settings.get("partial_rotary_factor", 1.0)
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise config.error(f"'partial_rotary_factor' is {share!r:.60}, which no rotary embedding has")
    return rotary(config, int(head_dim * share), settings={**settings, "partial_rotary_factor": None})


def heads_of(config: Config, s: Dims) -> list[Heads]:
    """The heads of each layer: as many as `num_attention_heads_per_layer` says, if it is there.

    Raises:
        ConfigError: it does not give a number to each layer.
    """
    key = "num_attention_heads_per_layer"
    counts = config[key]
    if counts is None:
        return [s.heads] * s.depth
    if len(counts) != s.depth or not all(type(count) is int and count > 0 for count in counts):
        raise config.error(f"{key} does not give a number of heads to each of {s.depth:,} layers")
    return [Heads(count=Size(count, key), keys=s.heads.keys, size=s.head_dim) for count in counts]
