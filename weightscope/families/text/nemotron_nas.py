"""Llama-Nemotron of NVIDIA's Puzzle (arXiv 2411.19146): Llama whose layers a search made thinner or took out.

Source: `DeciLMConfig` and `BlockConfig`, published beside the weights.
"""

from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM
from weightscope.components.mixers import MixerBlock
from weightscope.components.pruned import OneMatrix, Unchanged
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.nemotron_nas import block_configs, keys_of, rows_of
from weightscope.roles import Role

# Both are told for each layer.
VARIES = ("num_key_value_heads", "intermediate_size")
NAS = {key: value for key, value in LLAMA.items() if key not in VARIES} | {"block_configs": Nullable(list)}
WINDOWS = ("window_length", "num_sink_tokens", "unshifted_sink")
REFUSED = "Nemotron's attention with a window or sinks is not implemented"


@family("nemotron-nas", roots=("model", ""), defaults=NAS, needs=("block_configs",))
def nemotron_nas(config: Config, root: str) -> CausalLM:
    """By `block_configs`, each half of a layer is what it is in Llama, one matrix, or nothing."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    rope, blocks = rotary(config, s.head_dim), block_configs(config, s.depth)

    def attention(said: dict[str, Any]) -> Component | None:
        if said.get("no_op"):
            return None
        if said.get("replace_with_linear"):
            return OneMatrix(name="self_attn.linear_attn", width=s.width, role=Role.O_PROJ)
        own = replace(s, heads=replace(s.heads, keys=keys_of(config, said, s.heads.count)))
        projections = four_projections(qkv_bias=bias, o_bias=bias)
        return self_attention(own, projections, positions=rope, sees=visible(config))

    def feed_forward(said: dict[str, Any]) -> Component | None:
        if said.get("no_op"):
            return None
        if said.get("replace_with_linear"):
            return OneMatrix(name="mlp.linear_mlp", width=s.width, role=Role.DOWN_PROJ)
        return gated_mlp(config, "mlp", inner=rows_of(config, said, s.width), bias=config["mlp_bias"])

    def layer(i: int) -> Component:
        mixed, fed = attention(blocks[i]["attention"]), feed_forward(blocks[i]["ffn"])
        if mixed and fed:
            return pre_norm_block(norm, s.width, attention=mixed, feed_forward=fed)
        if mixed:
            return MixerBlock(norm=norm("input_layernorm", Role.INPUT_NORM, s.width), mixer=mixed)
        if fed:
            return MixerBlock(norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width), mixer=fed)
        return Unchanged()

    windows = any(block["attention"].get(key) for block in blocks for key in WINDOWS)
    return causal_lm(
        config,
        root,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        refused=REFUSED if windows else "",
    )
