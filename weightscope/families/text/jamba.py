"""Jamba (arXiv 2403.19887): Mamba, attention in a few layers, a mixture in others. Source: `JambaConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.recurrent.mamba import Mamba
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.hybrid import attention, hybrid, mixture
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, rms_norms
from weightscope.families.common.state_space import step_rank
from weightscope.families.registry import family
from weightscope.roles import Role

JAMBA: dict[str, Any] = {
    "vocab_size": 65536,
    "tie_word_embeddings": False,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int),
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "num_experts_per_tok": 2,
    "num_experts": 16,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "attn_layer_period": 8,
    "attn_layer_offset": 4,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_dt_rank": None,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
}


@family("jamba", roots=ROOTS, defaults=JAMBA, aliases={"num_experts": "num_local_experts"})
def jamba(config: Config, root: str) -> CausalLM:
    """No positions: order comes from the recurrence."""
    width, eps, (prefix, stacked) = config["hidden_size"], config["rms_norm_eps"], spelling(root)
    head_dim, norm = config["head_dim"] or width // config["num_attention_heads"], rms_norms(eps)
    rank, state = step_rank(config, "mamba_dt_rank"), config["mamba_d_state"]
    norms = {"dt": (Role.DT_NORM, rank), "b": (Role.B_NORM, state), "c": (Role.C_NORM, state)}
    mamba = Mamba(
        name="mamba",
        width=width,
        inner=config["mamba_expand"] * width,
        state=state,
        rank=rank,
        kernel=config["mamba_d_conv"],
        activation=config["hidden_act"],
        bias=config["mamba_proj_bias"],
        kernel_bias=config["mamba_conv_bias"],
        norms=tuple(norm(f"{of}_layernorm", *size) for of, size in norms.items()),
    )
    routing = Routing(normalize=False)
    mixed = mixture(config, "feed_forward", gated_mlp(config, ""), routing, stacked=stacked, router="router")

    def block(kind: tuple[bool, bool]) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
            attention=attention(config, head_dim) if kind[0] else mamba,
            feed_forward_norm=norm("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
            feed_forward=mixed if kind[1] else gated_mlp(config, "feed_forward"),
        )

    def among(what: str, layer: int) -> bool:
        return bool(layer % config[f"{what}_layer_period"] == config[f"{what}_layer_offset"])

    many = config["num_experts"] > 1
    kinds = [(among("attn", layer), many and among("expert", layer)) for layer in range(depth_of(config))]
    return hybrid(config, prefix, kinds, block, eps=eps, final_norm="final_layernorm")
