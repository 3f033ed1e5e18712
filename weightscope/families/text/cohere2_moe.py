"""Cohere's mixtures (2026): Command R7B with experts in the place of the MLP. Source: `Cohere2MoeConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import COHERE, Dims, Output, causal_lm, layer_norms, rms_norms, rotary, visible
from weightscope.families.common.layer_types import SLIDING
from weightscope.families.common.mixtures import STACKED, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.cohere import cohere_mixture, prefixed_windows
from weightscope.families.siblings.deepseek import first_dense
from weightscope.roles import Role

COHERE2_MOE = COHERE | {
    "rope_theta": 10000.0, "head_dim": 128, "sliding_window": Nullable(int, 4096), "sliding_window_pattern": 4,
    "prefix_dense_sliding_window_pattern": 1, "layer_types": Nullable(list), "mlp_layer_types": Nullable(list),
    "first_k_dense_replace": 0, "prefix_dense_intermediate_size": Nullable(int), "rms_norm_eps": Nullable(float),
    "num_experts": 8, "num_experts_per_tok": 2, "num_shared_experts": 0, "norm_topk_prob": True,
    "shared_expert_combination_strategy": "average", "expert_selection_fn": "softmax",
}  # fmt: skip
COMPUTED = {
    "expert_selection_fn": ("softmax", "sigmoid"), "shared_expert_combination_strategy": ("average", "sum"),
    # The class has the key and reads rope_parameters alone.
    "rope_scaling": None,
}  # fmt: skip


@family("cohere2_moe", roots=("model", "", STACKED), defaults=COHERE2_MOE)
def cohere2_moe(config: Config, root: str) -> CausalLM:
    """The norms are layer norms without bias, or RMS norms where the config has an epsilon for those."""
    s, (prefix, stacked), eps = Dims.of(config), spelling(root), config["rms_norm_eps"]
    norm = layer_norms(config["layer_norm_eps"], bias=False) if eps is None else rms_norms(eps)
    rope, kinds = rotary(config, s.head_dim, interleaved=True, steps="converted"), prefixed_windows(config)
    bias, mixes, mixed = config["attention_bias"], first_dense(config), cohere_mixture(config, stacked=stacked)
    dense = gated_mlp(config, "mlp", inner=config["prefix_dense_intermediate_size"])

    def layer(i: int) -> Block:
        slides = kinds[i] == SLIDING
        rotates = slides or (not mixes[i] and config["prefix_dense_sliding_window_pattern"] == 1)
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=self_attention(
                s,
                four_projections(qkv_bias=bias, o_bias=bias),
                positions=rope if rotates else None,
                sees=visible(config, config["sliding_window"] if slides else None),
            ),
            feed_forward_norm=None,
            feed_forward=mixed if mixes[i] else dense,
            parallel=True,
        )

    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(scale=float(config["logit_scale"])),
        refused=not_computed(config, "Cohere's mixture", COMPUTED),
    )
