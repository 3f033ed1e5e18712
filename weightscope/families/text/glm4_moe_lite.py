"""GLM-4.7-Flash: DeepSeek-V3's layout in GLM's sizes. Source: `Glm4MoeLiteConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.latent import DEEPSEEK, decoder
from weightscope.families.common.mixtures import ROOTS
from weightscope.families.registry import family

GLM4_MOE_LITE = DEEPSEEK | {
    "vocab_size": 154880,
    "hidden_size": 2048,
    "intermediate_size": 10240,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 47,
    "num_attention_heads": 20,
    "n_routed_experts": 64,
    "num_experts_per_tok": 4,
    "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1),
    "routed_scaling_factor": 1.8,
    "first_k_dense_replace": 1,
    "q_lora_rank": Nullable(int, 768),
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 202752,
    "num_nextn_predict_layers": Nullable(int, 0),
}


@family("glm4_moe_lite", roots=ROOTS, defaults=GLM4_MOE_LITE)
def glm4_moe_lite(config: Config, root: str) -> CausalLM:
    """The first layer is dense unless `mlp_layer_types` says otherwise."""
    return decoder(config, root)
