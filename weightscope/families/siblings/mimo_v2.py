"""Parts of MiMo-V2: attention of other sizes where it has a window, and the kind of each layer."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.attention import Attention, Heads, Rope, Scores
from weightscope.config import Config
from weightscope.families.common import depth_of, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections
from weightscope.families.siblings.deepseek import first_dense
from weightscope.sizes import Size


def mimo_attention(config: Config, kind: str, *, sinks: str) -> Attention:
    """The attention of a kind of layer. Its sinks, where it has any, are stored under the name `sinks`.

    Sizes of layers with a window have keys of their own in published configs. Where these are absent, such layers have
    twice as many key and value heads, and else the sizes of the others.
    """
    full, scale = _heads(config), config["attention_value_scale"]
    slides, window = kind == SLIDING, config["sliding_window"]
    if config["sliding_window_size"] is not None:
        # This counts the positions before the token, `sliding_window` itself as well.
        window = config["sliding_window_size"] + 1
    heads = _heads(config, "swa_", replace(full, keys=full.keys * 2)) if slides else full
    has_sinks = config["add_swa_attention_sink_bias" if slides else "add_full_attention_sink_bias"]
    return Attention(
        name="self_attn",
        projections=four_projections(qkv_bias=config["attention_bias"]),
        width=config["hidden_size"],
        heads=heads,
        positions=_rope(config, kind, heads.size),
        sees=visible(config, window if slides else None),
        scores=Scores(sinks=sinks if has_sinks else None),
        value_scale=1.0 if scale is None else float(scale),
    )


def _rope(config: Config, kind: str, size: Size) -> Rope:
    """The rotation of a kind of layer; of what is scaled all turns, unless its own settings say a share."""
    rope = rotary(config, size, layers=kind, theta=config["swa_rope_theta" if kind == SLIDING else "rope_theta"])
    own = (config["rope_parameters"] or {}).get(kind) or {}
    whole = rope.scaling.kind != "default" and own.get("partial_rotary_factor") is None
    return replace(rope, dim=int(size)) if whole else rope


def mimo_windows(config: Config) -> list[str]:
    """The kind of each layer: `layer_types`, or 1 in `hybrid_layer_pattern` for a window.

    Without either, the first layer and every sixth see everything.
    """
    pattern = _flags(config, "hybrid_layer_pattern")
    if pattern is None:
        return layer_types(config, lambda i: SLIDING if i and (i + 1) % 6 else FULL)
    return layer_types(config, lambda i: SLIDING if pattern[i] else FULL)


def mimo_mixed(config: Config) -> list[bool]:
    """Which layers are mixed: `mlp_layer_types`, or 1 in `moe_layer_freq`; without either, all but the first."""
    if config["mlp_layer_types"] is not None:
        return first_dense(config)
    return _flags(config, "moe_layer_freq") or [i > 0 for i in range(depth_of(config))]


def _heads(config: Config, prefix: str = "", other: Heads | None = None) -> Heads:
    """Heads by the keys with a prefix, or where one of these is null the other's."""
    keys = {"count": "num_attention_heads", "keys": "num_key_value_heads", "size": "head_dim", "value": "v_head_dim"}
    sizes = {field: config[f"{prefix}{key}"] for field, key in keys.items()}
    stated = {field: size for field, size in sizes.items() if size is not None}
    return Heads(**stated) if other is None else replace(other, **stated)


def _flags(config: Config, key: str) -> list[bool] | None:
    """What a list says of each layer by 0 and 1; None where there is none.

    Raises:
        ConfigError: it does not say so of every layer.
    """
    flags, depth = config[key], depth_of(config)
    if flags is None:
        return None
    if len(flags) != depth or not set(flags) <= {0, 1}:
        raise config.error(f"{key} does not say 0 or 1 for {depth:,} layers")
    return [bool(flag) for flag in flags]
