"""GLM-4.5 (arXiv 2508.06471): grouped attention over DeepSeek-V3's mixture. Source: `Glm4MoeConfig` of transformers."""

from weightscope.components.attention import NO_NORMS
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.ahead import numbered_ahead
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import deepseek_mixture, first_dense
from weightscope.roles import Role

GLM4_MOE = LLAMA | {
    "vocab_size": 151552, "intermediate_size": 10944, "num_hidden_layers": 46, "num_attention_heads": 96,
    "num_key_value_heads": Nullable(int, 8), "rms_norm_eps": 1e-5, "max_position_embeddings": 131072,
    "partial_rotary_factor": 0.5, "moe_intermediate_size": 1408, "num_experts_per_tok": 8,
    "n_shared_experts": Nullable(int, 1), "n_routed_experts": 128, "routed_scaling_factor": 1.0,
    "n_group": Nullable(int, 1), "topk_group": Nullable(int, 1), "first_k_dense_replace": 1, "norm_topk_prob": True,
    "use_qk_norm": False, "num_mtp_layers": Nullable(int, 1),
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "num_nextn_predict_layers": "num_mtp_layers"}


@family("glm4_moe", roots=ROOTS, defaults=GLM4_MOE, attribute_map=ATTRIBUTES)
def glm4_moe(config: Config, root: str) -> CausalLM:
    """Half of each head is rotated; norms on each head's queries and keys only where the config says so."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"]),
        norms=head_norms(norm, s.head_dim) if config["use_qk_norm"] else NO_NORMS,
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    mixed = deepseek_mixture(config, stacked=stacked)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    ahead = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed)
    final_norm = norm("norm", Role.FINAL_NORM, s.width)
    return causal_lm(config, prefix, layer, final_norm=final_norm, extras=numbered_ahead(config, prefix, ahead))
