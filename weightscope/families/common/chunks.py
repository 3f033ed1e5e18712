"""Llama 4's attention: some layers see a chunk and turn by position, the others see all and do not."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from weightscope.components.attention.attend_old import Temperature
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.softmax_old import Attention
from weightscope.components.decoder import Block
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.rotary import rotary
from weightscope.roles import Role

CHUNKS = {
    "use_qk_norm": True,
    "no_rope_layers": Nullable(list),
    "no_rope_layer_interval": 4,
    "attention_chunk_size": Nullable(int, 8192),
    "layer_types": Nullable(list),
    "floor_scale": 8192,
    "attn_scale": 0.1,
}


def turned(config: Config) -> Callable[[int], bool]:
    """Which layers turn by position: those of `no_rope_layers` that are 1, or all but each fourth."""
    flags, every = config["no_rope_layers"], config["no_rope_layer_interval"]
    if not flags:
        return lambda layer: (layer + 1) % every != 0
    if len(flags) < config["num_hidden_layers"]:
        raise config.error(f"no_rope_layers says something of {len(flags):,} layers only")
    return lambda layer: bool(flags[layer])


def ropes(config: Config) -> Callable[[int, int | None], Rope | None]:
    """The rotation of each layer, or None."""
    rope, turns = rotary(config, config["head_dim"], interleaved=True), turned(config)
    return lambda layer, _: rope if turns(layer) else None


def chunked(config: Config) -> Callable[[int], bool]:
    """Which layers see only a chunk: by `layer_types`, or those that turn."""
    types = config["layer_types"]
    if types is None:
        return turned(config)
    if len(types) != config["num_hidden_layers"]:
        raise config.error(f"layer_types does not name {config['num_hidden_layers']:,} layers")
    return lambda layer: bool(types[layer] == "chunked_attention")


def attends(config: Config, block: Block, *, chunked: bool) -> Block:
    """The block with its chunk, and norms without weights after the rotation or queries that grow without it."""
    attention = block.attention
    assert isinstance(attention, Attention)
    tuned = attention.rope is None and config.get("attn_temperature_tuning", True)
    normed = attention.rope is not None and config["use_qk_norm"]
    norms = tuple(
        RMSNorm(name="qk_norm", role=role, size=attention.head_dim, eps=config["rms_norm_eps"], weighted=False)
        for role in (Role.Q_NORM, Role.K_NORM)
    )
    return replace(
        block,
        attention=replace(
            attention,
            chunk=config["attention_chunk_size"] if chunked else None,
            norms=norms if normed else (),
            turned_norms=True,
            temperature=Temperature(share=config["attn_scale"], every=int(config["floor_scale"]), first=1)
            if tuned
            else None,
        ),
    )
