"""AFMoE, Arcee's Trinity (2025): gated attention and mixtures, each between two norms. Source: `AfmoeConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import PLACED_ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

AFMOE = LLAMA | {
    "vocab_size": 200192, "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 1408,
    "num_dense_layers": 1, "num_attention_heads": 16, "head_dim": 128, "max_position_embeddings": 16384,
    "rms_norm_eps": 1e-5, "num_experts": 64, "num_experts_per_tok": 6, "num_shared_experts": 2, "route_scale": 1.0,
    "global_attn_every_n_layers": 4, "sliding_window": Nullable(int, 1024), "layer_types": Nullable(list),
    "mup_enabled": Nullable(bool, False),
    # Only in Arcee's own code.
    "score_func": "sigmoid", "route_norm": True, "n_group": 1,
}  # fmt: skip
COMPUTED = {"score_func": "sigmoid", "route_norm": True, "n_group": 1}


@family("afmoe", roots=PLACED_ROOTS, defaults=AFMOE)
def afmoe(config: Config, root: str) -> CausalLM:
    """Only layers with a window rotate; with muP the embedding is multiplied by the root of its width."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"], wide=True), spelling(root)
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % config["global_attn_every_n_layers"] else FULL)
    rope, bias, inner = rotary(config, s.head_dim), config["attention_bias"], config["moe_intermediate_size"]
    projections = (*four_projections(qkv_bias=bias, o_bias=bias), Linear("gate_proj", Role.ATTENTION_GATE))
    mixed = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=Routing(score="sigmoid", scale=float(config["route_scale"])),
        shared=gated_mlp(config, "shared_experts", inner=inner * config["num_shared_experts"]),
        correction="expert_bias",
        correction_kind="parameter",
        stacked=stacked,
        router="router.gate",
    )

    def layer(i: int) -> Block:
        slides = kinds[i] == SLIDING
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=self_attention(
                s,
                projections,
                norms=head_norms(norm, s.head_dim),
                positions=rope if slides else None,
                sees=visible(config, config["sliding_window"] if slides else None),
            ),
            attention_out_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward_norm=norm("pre_mlp_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
            feed_forward=gated_mlp(config, "mlp") if i < config["num_dense_layers"] else mixed,
            feed_forward_out_norm=norm("post_mlp_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
        )

    scale = float(s.width) ** 0.5 if config["mup_enabled"] else 1.0
    return causal_lm(
        config,
        prefix,
        layer,
        embedding=token_embedding(config, scale=scale),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        refused=not_computed(config, "AFMoE", COMPUTED),
    )
