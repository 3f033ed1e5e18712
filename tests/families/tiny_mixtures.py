"""Tiny random mixtures of experts."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import DEEPSEEK, LLAMA, YARN, Tiny

QWEN: dict[str, Any] = LLAMA | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 14}
QWEN2 = QWEN | {"shared_expert_intermediate_size": 17}
QWEN3 = QWEN | {"head_dim": 10}
DSA = DEEPSEEK | {"index_topk": 4, "index_head_dim": 7, "index_n_heads": 3}
# Its rotation in complex numbers wants even strides.
DEEPSEEK2 = DEEPSEEK | {"kv_lora_rank": 16}
MSCALE = {"mscale": 0.7, "mscale_all_dim": 1.3, "original_max_position_embeddings": 8}

TINY_MIXTURES = [
    Tiny("qwen2_moe", "Qwen2Moe", QWEN2),
    Tiny("qwen2_moe-no-bias-normalized", "Qwen2Moe", QWEN2 | {
        "qkv_bias": False, "norm_topk_prob": True, "tie_word_embeddings": True, "mlp_only_layers": [1],
    }),
    Tiny("qwen2_moe-window-step", "Qwen2Moe", QWEN2 | {
        "decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2,
    }),
    Tiny("qwen3_moe", "Qwen3Moe", QWEN3 | {"norm_topk_prob": True}),
    Tiny("qwen3_moe-bias-plain-weights", "Qwen3Moe", QWEN3 | {
        "attention_bias": True, "tie_word_embeddings": True, "mlp_only_layers": [0],
    }),
    Tiny("qwen3_moe-window-step", "Qwen3Moe", QWEN | {
        "decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 4, "num_experts_per_tok": 3,
    }),
    Tiny("deepseek_v2", "DeepseekV2", DEEPSEEK2),
    Tiny("deepseek_v2-groups", "DeepseekV2", DEEPSEEK2 | {
        "topk_method": "group_limited_greedy", "routed_scaling_factor": 1.7, "q_lora_rank": None,
    }),
    Tiny("deepseek_v2-biases-yarn", "DeepseekV2", DEEPSEEK2 | {
        "attention_bias": True, "mlp_bias": True, "rope_parameters": YARN | MSCALE, "first_k_dense_replace": 2,
        "tie_word_embeddings": True,
    }),
    Tiny("deepseek_v32", "DeepseekV32", DSA),
    Tiny("deepseek_v32-short-yarn-bias", "DeepseekV32", DSA | {
        "index_topk": 11, "attention_bias": True, "rope_parameters": YARN | MSCALE, "first_k_dense_replace": 2,
    }),
    Tiny("deepseek_v32-listed", "DeepseekV32", DSA | {
        "mlp_layer_types": ["sparse", "dense", "sparse"], "index_topk": 7, "tie_word_embeddings": True,
    }),
    Tiny("glm4_moe_lite", "Glm4MoeLite", DEEPSEEK),
    Tiny("glm4_moe_lite-halves-bias", "Glm4MoeLite", DEEPSEEK | {
        "rope_interleave": False, "attention_bias": True, "q_lora_rank": None, "norm_topk_prob": False,
        "mlp_layer_types": ["sparse", "dense", "sparse"],
    }),
    Tiny("glm_moe_dsa", "GlmMoeDsa", DSA),
    Tiny("glm_moe_dsa-shared", "GlmMoeDsa", DSA | {
        "num_hidden_layers": 4, "indexer_types": ["full", "shared", "full", "shared"], "first_k_dense_replace": 2,
    }),
    Tiny("glm_moe_dsa-pattern", "GlmMoeDsa", DSA | {
        "num_hidden_layers": 5, "index_topk_freq": 2, "index_skip_topk_offset": 1, "attention_bias": True,
    }),
]  # fmt: skip
