"""ERNIE 4.5's mixtures (Baidu 2025): neighbours rotated, a learned correction. Source: `Ernie4_5_MoeConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, Output, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.ahead import parts_ahead
from weightscope.families.common.mixtures import ROOTS, STACK, SWITCH, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

ERNIE4_5_MOE = LLAMA | {
    "vocab_size": 103424, "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28,
    "num_attention_heads": 20, "num_key_value_heads": Nullable(int, 4), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072, "rope_theta": 500000.0, "tie_word_embeddings": True, "use_bias": False,
    "moe_intermediate_size": 1536, "moe_k": 6, "moe_num_experts": 64, "moe_num_shared_experts": 2,
    "moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1, "moe_norm_min": 1e-12,
    "num_nextn_predict_layers": Nullable(int, 0),
}  # fmt: skip
# MLX's converter leaves it out.
CORRECTIONS = {
    None: "moe_statics.e_score_correction_bias",
    STACK: "gate.moe_statics.e_score_correction_bias",
    SWITCH: None,
}
ATTRIBUTES = {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"}


@family("ernie4_5_moe", roots=ROOTS, defaults=ERNIE4_5_MOE, attribute_map=ATTRIBUTES)
def ernie4_5_moe(config: Config, root: str) -> CausalLM:
    """Every `moe_layer_interval`-th layer between two is mixed; all but the experts may have biases."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    bias, inner, shared = config["use_bias"], config["moe_intermediate_size"], config["moe_num_shared_experts"]
    first, last, step = (config[f"moe_layer_{key}"] for key in ("start_index", "end_index", "interval"))
    last, dense = s.depth - 1 if last == -1 else last, gated_mlp(config, "mlp", bias=bias)
    rope = rotary(config, s.head_dim, interleaved=True, steps="float32")
    attention = self_attention(s, four_projections(qkv_bias=bias, o_bias=bias), positions=rope, sees=visible(config))
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["moe_num_experts"],
        chosen=config["moe_k"],
        expert=gated_mlp(config, "", inner=inner),
        routing=Routing(least=config["moe_norm_min"]),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared, bias=bias) if shared else None,
        correction=CORRECTIONS[stacked],
        correction_kind="row",
        stacked=stacked,
    )

    def layer(i: int) -> Block:
        mixed = (i + 1) % step == 0 and first <= i <= last
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture if mixed else dense)

    ahead = parts_ahead(config, prefix, pre_norm_block(norm, s.width, attention=attention, feed_forward=dense))
    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(bias=bias),
        extras=ahead,
    )
