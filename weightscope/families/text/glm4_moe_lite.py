"""GLM-4.7-Flash: DeepSeek-V3's layout in GLM's sizes. Source: `Glm4MoeLiteConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.ahead import numbered_ahead
from weightscope.families.common.mixtures import LATENT_ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import (
    DEEPSEEK,
    deepseek_mixture,
    first_dense,
    latent_attention,
    turns_in_part,
)
from weightscope.roles import Role

GLM4_MOE_LITE = DEEPSEEK | {
    "vocab_size": 154880, "hidden_size": 2048, "intermediate_size": 10240, "moe_intermediate_size": 1536,
    "num_hidden_layers": 47, "num_attention_heads": 20, "n_routed_experts": 64, "num_experts_per_tok": 4,
    "n_group": Nullable(int, 1), "topk_group": Nullable(int, 1), "routed_scaling_factor": 1.8,
    "partial_rotary_factor": Nullable(float, 1.0), "mlp_layer_types": Nullable(list), "q_lora_rank": Nullable(int, 768),
    "qk_nope_head_dim": 192, "v_head_dim": 256, "rms_norm_eps": 1e-5, "max_position_embeddings": 202752,
    "num_nextn_predict_layers": Nullable(int, 0),
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "head_dim": "qk_rope_head_dim"}
# No keys of the class.
for absent in ("first_k_dense_replace", "moe_layer_freq"):
    del GLM4_MOE_LITE[absent]


@family("glm4_moe_lite", roots=LATENT_ROOTS, defaults=GLM4_MOE_LITE, attribute_map=ATTRIBUTES)
def glm4_moe_lite(config: Config, root: str) -> CausalLM:
    """DeepSeek-V3 whose first layer is dense, unless `mlp_layer_types` says otherwise."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=config["rope_interleave"])
    attention = latent_attention(config, rope, root=root)
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    ahead = pre_norm_block(norm, width, attention=attention, feed_forward=mixed)
    final_norm = norm("norm", Role.FINAL_NORM, width)
    extras = numbered_ahead(config, prefix, ahead)
    refused = turns_in_part(config, rope, "GLM-4.7-Flash")
    return causal_lm(config, prefix, layer, final_norm=final_norm, extras=extras, refused=refused)
