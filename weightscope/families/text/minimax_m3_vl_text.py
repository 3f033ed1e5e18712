"""MiniMax-M3's language model (2026): blocks of positions that an indexer chooses, over mixtures.

Source: `MiniMaxM3VLTextConfig` of transformers. A sequence that is seen whole is computed, a longer one is not.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, rms_norms
from weightscope.families.common.parts import pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.minimax_m3 import ROOTS, m3_attentions, m3_feed_forwards, uncomputed
from weightscope.roles import Role

MINIMAX_M3 = ROTARY | {
    "vocab_size": 200064, "hidden_size": 6144, "intermediate_size": 3072, "num_hidden_layers": 60,
    "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 524288,
    "rms_norm_eps": 1e-6, "rope_theta": 5000000.0, "partial_rotary_factor": Nullable(float),
    "rotary_dim": Nullable(int), "num_experts_per_tok": 4, "num_local_experts": 128, "dense_intermediate_size": 12288,
    "shared_intermediate_size": 3072, "routed_scaling_factor": 2.0, "swiglu_alpha": 1.702, "swiglu_limit": 7.0,
    "mlp_layer_types": Nullable(list), "layer_types": Nullable(list), "index_n_heads": 4, "index_head_dim": 128,
    "index_block_size": 128, "index_topk_blocks": 16, "sparse_attention_config": Nullable(dict),
    "moe_layer_freq": Nullable(object),
}  # fmt: skip


@family(
    "minimax_m3_vl_text",
    roots=tuple(ROOTS),
    defaults=MINIMAX_M3,
    attribute_map={"num_experts": "num_local_experts"},
)
def minimax_m3_vl_text(config: Config, root: str) -> CausalLM:
    """Norms multiply by 1 + w."""
    norm, width, spelling = rms_norms(config["rms_norm_eps"], offset=1.0), config["hidden_size"], ROOTS[root]
    attention, feed_forward = m3_attentions(config, spelling), m3_feed_forwards(config, spelling)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention[i], feed_forward=feed_forward[i])

    return causal_lm(
        config,
        spelling.prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, width),
        refused=uncomputed(config),
    )
