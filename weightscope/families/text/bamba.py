"""Bamba (IBM and others, 2024): Mamba-2 with attention in a few layers. Source: `BambaConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import attention, hybrid
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.common.rotary import rotary
from weightscope.families.common.state_space import MAMBA2_HYBRID, mamba2
from weightscope.families.registry import family
from weightscope.roles import Role

BAMBA: dict[str, Any] = MAMBA2_HYBRID | {
    "max_position_embeddings": 262144,
    "partial_rotary_factor": 0.5,
    "attn_layer_indices": Nullable(list),
}


@family("bamba", roots=("model", ""), defaults=BAMBA)
def bamba(config: Config, root: str) -> CausalLM:
    """The layers of `attn_layer_indices` attend."""
    if config["partial_rotary_factor"] != 0.5:
        # The class overrides the key.
        raise UndeclaredError("Bamba with a partial_rotary_factor but a half is not declared", where=config.source)
    width, eps, bias = config["hidden_size"], config["rms_norm_eps"], config["attention_bias"]
    head_dim = config["head_dim"] or width // config["num_attention_heads"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    rope, attending = rotary(config, head_dim), config["attn_layer_indices"] or ()

    def block(kind: str) -> Block:
        attends = kind == "full_attention"
        return Block(
            input_norm=RMSNorm(name="input_layernorm", role=Role.INPUT_NORM, size=width, eps=eps),
            attention=attention(config, head_dim, projections, rope=rope) if attends else mamba2(config),
            feed_forward_norm=RMSNorm(name="pre_ff_layernorm", role=Role.PRE_FEEDFORWARD_NORM, size=width, eps=eps),
            feed_forward=gated_mlp(config, "feed_forward", bias=config["mlp_bias"]),
        )

    kinds = ["full_attention" if layer in attending else "linear_attention" for layer in range(depth_of(config))]
    return hybrid(config, root, kinds, block, eps=eps, final_norm="final_layernorm")
