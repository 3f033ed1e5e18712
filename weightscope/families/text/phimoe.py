"""Phi-3.5-MoE (arXiv 2404.14219): sixteen experts, chosen by SparseMixer. Source: `PhimoeConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, Output, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, STACK, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.roles import Role

PHIMOE = LLAMA | {
    "vocab_size": 32064, "intermediate_size": 6400, "num_key_value_heads": Nullable(int, 8), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072, "original_max_position_embeddings": Nullable(int), "rope_theta": 1000000.0,
    "sliding_window": Nullable(int), "num_local_experts": 16, "num_experts_per_tok": 2, "router_jitter_noise": 0.01,
    "lm_head_bias": False,
}  # fmt: skip


@family("phimoe", roots=ROOTS, defaults=PHIMOE)
def phimoe(config: Config, root: str) -> CausalLM:
    """Mixtral's names on disk, layer norms, a bias on the head where the config says so."""
    s, norm, (prefix, stacked) = Dims.of(config), layer_norms(config["rms_norm_eps"]), spelling(root)
    bias = config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config, config["sliding_window"]),
    )
    mixture = MixtureOfExperts(
        name="mlp" if stacked == STACK else "block_sparse_moe",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=("w1", "w3", "w2")),
        routing=Routing(score="sparsemixer", jitter=float(config["router_jitter_noise"])),
        stacked=stacked,
        router="router" if stacked == STACK else "gate",
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)
    return causal_lm(
        config,
        prefix,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(bias=config["lm_head_bias"]),
        # Microsoft's code chooses two experts and takes no other number; transformers chooses two whatever it is.
        refused=not_computed(config, "phimoe", {"num_experts_per_tok": 2}),
    )
