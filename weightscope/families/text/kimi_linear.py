"""Kimi Linear (arXiv 2510.26692): delta and latent attention, no positions. Source: `KimiLinearConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.hybrid import hybrid
from weightscope.families.common.kimi_linear_parts import (
    LAYOUTS,
    delta_attention,
    depths,
    feed_forward,
    latent_attention,
    mixers,
    refuse,
)
from weightscope.families.common.parts import rms_norms
from weightscope.families.registry import family
from weightscope.roles import Role

KIMI_LINEAR: dict[str, Any] = {
    "vocab_size": 163840,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "moe_intermediate_size": 1024,
    "num_hidden_layers": 27,
    "num_attention_heads": 32,
    "n_shared_experts": 1,
    "routed_scaling_factor": 2.446,
    "kv_lora_rank": 512,
    "q_lora_rank": Nullable(int),
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "n_group": 1,
    "topk_group": Nullable(int, 1),
    "num_experts_per_tok": 8,
    "num_local_experts": 256,
    "norm_topk_prob": True,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
    "first_k_dense_replace": 1,
    "linear_head_dim": 128,
    "linear_num_heads": 32,
    "linear_conv_kernel_dim": 4,
    "mla_use_nope": True,
    "moe_router_activation_func": "sigmoid",
    "moe_layer_freq": 1,
}
ALIASES = {
    "norm_topk_prob": "moe_renormalize",
    "n_group": "num_expert_group",
    "num_local_experts": "num_experts",
    "num_experts_per_tok": "num_experts_per_token",
    "n_shared_experts": "num_shared_experts",
}


@family("kimi_linear", roots=tuple(LAYOUTS), defaults=KIMI_LINEAR, aliases=ALIASES)
def kimi_linear(config: Config, root: str) -> CausalLM:
    """The class ties nothing, whatever the config says."""
    refuse(config)
    width, eps, layout = config["hidden_size"], config["rms_norm_eps"], LAYOUTS[root]
    norm = rms_norms(eps)

    def block(kind: tuple[str, str]) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
            attention=latent_attention(config) if kind[0] == "full_attention" else delta_attention(config, layout),
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
            feed_forward=feed_forward(config, layout, kind[1]),
        )

    kinds = list(zip(mixers(config), depths(config), strict=True))
    return hybrid(config, layout.prefix, kinds, block, eps=eps, tied=False)
