"""K-EXAONE: EXAONE 4's attention over DeepSeek-V3's mixture. Source: `ExaoneMoeConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import SLIDING, window_pattern
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import first_dense, grouped_sigmoid
from weightscope.roles import Role

EXAONE_MOE = LLAMA | {
    "vocab_size": 102400, "intermediate_size": 16384, "num_key_value_heads": Nullable(int, 32), "rms_norm_eps": 1e-5,
    "sliding_window": Nullable(int, 4096), "sliding_window_pattern": Nullable(object, 4), "layer_types": Nullable(list),
    "mlp_layer_types": Nullable(list), "first_k_dense_replace": 1, "moe_intermediate_size": 1024, "num_experts": 64,
    "num_experts_per_tok": 8, "num_shared_experts": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
    "n_group": Nullable(int, 1), "topk_group": Nullable(int, 1),
}  # fmt: skip


@family("exaone_moe", roots=ROOTS, defaults=EXAONE_MOE)
def exaone_moe(config: Config, root: str) -> CausalLM:
    """Where some layers have a window, those without one rotate nothing."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    rope, window, kinds = rotary(config, s.head_dim), config["sliding_window"], window_pattern(config)
    inner, dense, mixes = config["moe_intermediate_size"], gated_mlp(config, "mlp"), first_dense(config)
    mixed = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=grouped_sigmoid(config),
        shared=gated_mlp(config, "shared_experts", inner=inner * config["num_shared_experts"]),
        correction="gate.e_score_correction_bias" if stacked else "e_score_correction_bias",
        stacked=stacked,
    )

    def layer(i: int) -> Block:
        slides = window is not None and kinds[i] == SLIDING
        attention = self_attention(
            s,
            four_projections(),
            norms=head_norms(norm, s.head_dim),
            positions=rope if slides or window is None else None,
            sees=visible(config, window if slides else None),
        )
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
