"""The language model of GLM-4.5V: GLM-4.5 with positions in three axes. Source: `Glm4vMoeTextConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, STACK, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import deepseek_mixture, first_dense
from weightscope.roles import Role

GLM4V_MOE = LLAMA | {
    "vocab_size": 151424, "hidden_size": 4096, "intermediate_size": 10944, "num_hidden_layers": 46,
    "num_attention_heads": 96, "num_key_value_heads": Nullable(int, 8), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 65536, "attention_bias": True, "partial_rotary_factor": 0.5,
    "moe_intermediate_size": 1408, "num_experts_per_tok": 8, "n_shared_experts": Nullable(int, 1),
    "n_routed_experts": 128, "routed_scaling_factor": 1.0, "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1), "first_k_dense_replace": 1, "norm_topk_prob": True,
}  # fmt: skip
WITHIN = "model.language_model"
# As transformers 5 holds them, below the whole or alone.
STACKED = {f"{WITHIN}, experts stacked": WITHIN, ", experts stacked": ""}


@family(
    "glm4v_moe_text",
    roots=(*ROOTS, WITHIN, *STACKED),
    defaults=GLM4V_MOE,
    attribute_map={"num_local_experts": "n_routed_experts"},
)
def glm4v_moe_text(config: Config, root: str) -> CausalLM:
    """Half of each head is rotated, pairing halves."""
    prefix, stacked = (STACKED[root], STACK) if root in STACKED else spelling(root)
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(qkv_bias=config["attention_bias"]),
        positions=rotary(config, s.head_dim, sections=(8, 12, 12)),
        sees=visible(config),
    )
    mixed, dense, mixes = deepseek_mixture(config, stacked=stacked), gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
