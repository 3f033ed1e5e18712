"""Jamba (arXiv 2403.19887): Mamba with attention in a few layers, a mixture in others. Source: `JambaConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.recurrent.mamba import Mamba
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Dims, causal_lm, rms_norms, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.state_space import step_rank
from weightscope.roles import Role

JAMBA = DECODER | {
    "vocab_size": 65536, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "num_experts_per_tok": 2, "num_experts": 16, "expert_layer_period": 2,
    "expert_layer_offset": 1, "attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_state": 16, "mamba_d_conv": 4,
    "mamba_expand": 2, "mamba_dt_rank": Nullable(object), "mamba_conv_bias": True, "mamba_proj_bias": False,
}  # fmt: skip


@family("jamba", roots=ROOTS, defaults=JAMBA, attribute_map={"num_local_experts": "num_experts"})
def jamba(config: Config, root: str) -> CausalLM:
    """No positions: order comes from the recurrence."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    rank, state, many = step_rank(config, "mamba_dt_rank"), config["mamba_d_state"], config["num_experts"] > 1
    norms = {"dt": (Role.DT_NORM, rank), "b": (Role.B_NORM, state), "c": (Role.C_NORM, state)}
    mamba = Mamba(
        name="mamba",
        width=s.width,
        inner=config["mamba_expand"] * s.width,
        state=state,
        rank=rank,
        kernel=config["mamba_d_conv"],
        activation=config["hidden_act"],
        bias=config["mamba_proj_bias"],
        kernel_bias=config["mamba_conv_bias"],
        norms=tuple(norm(f"{of}_layernorm", *size) for of, size in norms.items()),
    )
    mixed = MixtureOfExperts(
        name="feed_forward",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        routing=Routing(normalize=False),
        router="router",
        stacked=stacked,
    )

    def layer(i: int) -> Block:
        attends, mixes = among(config, "attn", i), many and among(config, "expert", i)
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=self_attention(s, four_projections(), positions=None, sees=visible(config)) if attends else mamba,
            feed_forward_norm=norm("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
            feed_forward=mixed if mixes else gated_mlp(config, "feed_forward"),
        )

    return causal_lm(config, prefix, layer, final_norm=norm("final_layernorm", Role.FINAL_NORM, s.width))


def among(config: Config, what: str, i: int) -> bool:
    """Whether layer `i` is one of each so many."""
    return bool(i % config[f"{what}_layer_period"] == config[f"{what}_layer_offset"])
