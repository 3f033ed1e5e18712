"""Tiny random mixtures of experts."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import DEEPSEEK, ENDS, LLAMA, YARN, Tiny

QWEN: dict[str, Any] = LLAMA | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 14}
QWEN2 = QWEN | {"shared_expert_intermediate_size": 17}
QWEN3 = QWEN | {"head_dim": 10}
DSA = DEEPSEEK | {"index_topk": 4, "index_head_dim": 7, "index_n_heads": 3}
# Its rotation in complex numbers wants even strides.
DEEPSEEK2 = DEEPSEEK | {"kv_lora_rank": 16}
MSCALE = {"mscale": 0.7, "mscale_all_dim": 1.3, "original_max_position_embeddings": 8}

# fmt: off
GPT_OSS: dict[str, Any] = LLAMA | {
    "num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 10, "sliding_window": 4, "hidden_size": 36,
}
OLMOE: dict[str, Any] = LLAMA | {"num_experts": 5, "num_experts_per_tok": 2}
PHIMOE: dict[str, Any] = LLAMA | {"num_local_experts": 5}
GLM4: dict[str, Any] = DEEPSEEK | {"num_key_value_heads": 2}
DOTS1: dict[str, Any] = {
    key: value for key, value in GLM4.items() if not key.startswith(("q_", "qk_", "kv_", "v_"))
}
AFMOE: dict[str, Any] = QWEN | {"head_dim": 10, "sliding_window": 4}
MIMO_V2: dict[str, Any] = LLAMA | {
    "num_attention_heads": 12, "head_dim": 12, "v_head_dim": 7, "sliding_window": 4, "n_routed_experts": 9,
    "num_experts_per_tok": 2, "moe_intermediate_size": 14,
}
# Its zero experts are in test_longcat.py: transformers saves matrices for them that nobody publishes.
LONGCAT: dict[str, Any] = {
    key: DEEPSEEK[key] for key in (
        "vocab_size", "hidden_size", "num_attention_heads", "bos_token_id", "eos_token_id", "pad_token_id",
        "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim",
    )
} | {
    "num_layers": 3, "ffn_hidden_size": 52, "expert_ffn_hidden_size": 14, "moe_topk": 3, "n_routed_experts": 5,
    "zero_expert_num": 0, "head_dim": 4,
}
DEEPSEEK4: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "num_attention_heads": 6, "num_hidden_layers": 4, "num_key_value_heads": 1,
    "moe_intermediate_size": 14, "head_dim": 10, "partial_rotary_factor": 0.4, "q_lora_rank": 11, "o_groups": 2,
    "o_lora_rank": 7, "n_routed_experts": 5, "num_experts_per_tok": 2, "hc_mult": 3, "index_n_heads": 3,
    "index_head_dim": 8, "index_topk": 2, "sliding_window": 4, "hc_sinkhorn_iters": 5,
    "compress_rates": {"compressed_sparse_attention": 2, "heavily_compressed_attention": 3},
    "layer_types": [
        "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention",
        "compressed_sparse_attention",
    ],
    "mlp_layer_types": ["hash_moe", "moe", "hash_moe", "moe"],
} | ENDS
COHERE_MOE: dict[str, Any] = LLAMA | {
    "head_dim": 8, "sliding_window": 4, "num_experts": 5, "num_experts_per_tok": 2, "intermediate_size": 14,
}
MINIMAX_M2: dict[str, Any] = LLAMA | {"num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 10}
GRANITE: dict[str, Any] = LLAMA | {"num_local_experts": 5, "num_experts_per_tok": 3}
GRANITE_SCALES: dict[str, Any] = {
    "embedding_multiplier": 3.0, "logits_scaling": 7.0, "residual_multiplier": 0.3, "attention_multiplier": 0.2,
}
EXAONE = QWEN | {"sliding_window": 4}
ERNIE: dict[str, Any] = LLAMA | {"moe_num_experts": 5, "moe_k": 2, "moe_intermediate_size": 14}
HUNYUAN: dict[str, Any] = LLAMA | {"num_experts": 5, "moe_topk": 2, "head_dim": 10}
LLAMA4: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "intermediate_size_mlp": 33, "head_dim": 10, "num_local_experts": 5,
    "attention_chunk_size": 4, "floor_scale": 3,
}


def dbrx(attention: dict[str, Any], experts: dict[str, Any]) -> dict[str, Any]:
    """Its config is nested, and wants the theta in two places."""
    return {
        "vocab_size": 101, "d_model": 24, "n_heads": 6, "n_layers": 3, "eos_token_id": 2,
        "attn_config": {"rope_theta": 1e4} | attention,
        "ffn_config": {"ffn_hidden_size": 14, "moe_num_experts": 5, "moe_top_k": 2} | experts,
    }


STEP3P5: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "head_dim": 8, "moe_intermediate_size": 14, "share_expert_dim": 17, "n_routed_experts": 9,
    "num_experts_per_tok": 3, "sliding_window": 5, "num_sliding_attention_heads": 8,
    "layer_types": ["full_attention", "sliding_attention"] * 2,
}  # fmt: skip

MINIMAX_M3: dict[str, Any] = LLAMA | {
    "head_dim": 8, "rotary_dim": 8, "num_local_experts": 5, "num_experts_per_tok": 2, "dense_intermediate_size": 33,
    "shared_intermediate_size": 17, "index_n_heads": 2, "index_head_dim": 8, "swiglu_limit": 0.6,
    "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
    "mlp_layer_types": ["dense", "sparse", "sparse"],
}  # fmt: skip

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
    Tiny("deepseek_v4", "DeepseekV4", DEEPSEEK4),
    Tiny("deepseek_v4-yarn", "DeepseekV4", DEEPSEEK4 | {
        "rope_parameters": YARN, "rope_theta": 3e3, "compress_rope_theta": 50.0, "index_topk": 1, "hc_mult": 2,
        "compress_rates": None, "compress_rate_csa": 3, "compress_rate_hca": 2, "swiglu_limit": 0.2,
        "tie_word_embeddings": True, "mlp_layer_types": None, "num_hash_layers": 1, "routed_scaling_factor": 1.7,
        "hc_sinkhorn_iters": 2, "hc_eps": 1e-2,
    }),
    Tiny("deepseek_v4-bias-sigmoid", "DeepseekV4", DEEPSEEK4 | {
        "num_hidden_layers": 2, "layer_types": ["heavily_compressed_attention"] * 2, "mlp_layer_types": ["moe"] * 2,
        "mlp_bias": True, "scoring_func": "sigmoid",
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
    Tiny("gpt_oss", "GptOss", GPT_OSS),
    Tiny("gpt_oss-no-bias-full", "GptOss", GPT_OSS | {
        "attention_bias": False, "layer_types": ["full_attention"] * 3, "tie_word_embeddings": True,
        "swiglu_alpha": 1.3, "swiglu_limit": 0.2,
    }),
    Tiny("gpt_oss-plain-rope-mqa", "GptOss", GPT_OSS | {
        "num_key_value_heads": 1, "num_experts_per_tok": 3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    }),
    Tiny("olmoe", "Olmoe", OLMOE),
    Tiny("olmoe-clip-bias", "Olmoe", OLMOE | {
        "clip_qkv": 0.3, "attention_bias": True, "norm_topk_prob": True, "tie_word_embeddings": True,
    }),
    Tiny("phimoe", "Phimoe", PHIMOE),
    Tiny("phimoe-biases-window", "Phimoe", PHIMOE | {
        "attention_bias": True, "lm_head_bias": True, "sliding_window": 5, "router_jitter_noise": 0.3, "head_dim": 10,
    }),
    # Of a longer sequence transformers does not take the long factors, as Microsoft's code does.
    Tiny("phimoe-longrope", "Phimoe", PHIMOE | {
        "original_max_position_embeddings": 64, "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.25], "long_factor": [1.5, 6.0],
            "short_mscale": 1.2, "long_mscale": 1.4, "original_max_position_embeddings": 64,
        },
    }),
    Tiny("dots1", "Dots1", DOTS1),
    Tiny("dots1-window-bias", "Dots1", DOTS1 | {
        "attention_bias": True, "max_window_layers": 1, "sliding_window": 5, "norm_topk_prob": True,
        "routed_scaling_factor": 1.7, "first_k_dense_replace": 0, "tie_word_embeddings": True, "head_dim": 10,
    }),
    Tiny("dots1-listed", "Dots1", DOTS1 | {
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": 4,
    }),
    Tiny("solar_open", "SolarOpen", DOTS1 | {"head_dim": 10}),
    Tiny("solar_open-bias-tied", "SolarOpen", DOTS1 | {
        "head_dim": 12, "attention_bias": True, "norm_topk_prob": False, "routed_scaling_factor": 1.7,
        "tie_word_embeddings": True,
    }),
    Tiny("afmoe", "Afmoe", AFMOE),
    Tiny("afmoe-mup-bias", "Afmoe", AFMOE | {
        "mup_enabled": True, "attention_bias": True, "route_scale": 1.7, "num_shared_experts": 1,
        "global_attn_every_n_layers": 2, "num_dense_layers": 2, "tie_word_embeddings": True,
    }),
    Tiny("afmoe-listed", "Afmoe", AFMOE | {
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"], "num_dense_layers": 0,
    }),
    Tiny("cohere2_moe", "Cohere2Moe", COHERE_MOE),
    Tiny("cohere2_moe-shared-untied", "Cohere2Moe", COHERE_MOE | {
        "num_shared_experts": 2, "tie_word_embeddings": False, "attention_bias": True, "rms_norm_eps": 1e-5,
    }),
    Tiny("cohere2_moe-dense-sigmoid", "Cohere2Moe", COHERE_MOE | {
        "num_hidden_layers": 5, "first_k_dense_replace": 2, "prefix_dense_intermediate_size": 17,
        "expert_selection_fn": "sigmoid", "num_shared_experts": 1, "shared_expert_combination_strategy": "sum",
        "sliding_window_pattern": 2, "rope_theta": 3e3,
    }),
    Tiny("cohere2_moe-prefix-windows", "Cohere2Moe", COHERE_MOE | {
        "num_hidden_layers": 5, "first_k_dense_replace": 2, "prefix_dense_sliding_window_pattern": 2,
        "expert_selection_fn": "sigmoid", "norm_topk_prob": False,
    }),
    Tiny("cohere2_moe-listed", "Cohere2Moe", COHERE_MOE | {
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "mlp_layer_types": ["dense", "sparse", "dense"],
    }),
    Tiny("hy_v3", "HYV3", QWEN3 | {"num_shared_experts": 2}),
    Tiny("hy_v3-biases-listed", "HYV3", QWEN3 | {
        "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "router_scaling_factor": 0.6,
        "mlp_layer_types": ["sparse", "dense", "sparse"],
    }),
    Tiny("hy_v3-wide-shared", "HYV3", QWEN3 | {"num_shared_experts": 0, "num_experts_per_tok": 3}),
    Tiny("mimo_v2_flash", "MiMoV2Flash", MIMO_V2 | {"num_hidden_layers": 7}),
    Tiny("mimo_v2_flash-bias-scaled", "MiMoV2Flash", MIMO_V2 | {
        "attention_bias": True, "attention_value_scale": 1.9, "routed_scaling_factor": 1.7, "n_group": 3,
        "topk_group": 2, "norm_topk_prob": False, "tie_word_embeddings": True, "rms_norm_eps": 1e-3,
        "mlp_layer_types": ["sparse", "dense", "sparse"],
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 3e3, "partial_rotary_factor": 0.5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.5},
        },
    }),
    Tiny("mimo_v2_flash-window_size", "MiMoV2Flash", MIMO_V2 | {
        "sliding_window_size": 2, "num_key_value_heads": 1, "num_hidden_layers": 4, "attention_value_scale": None,
    }),
    Tiny("longcat_flash", "LongcatFlash", LONGCAT),
    Tiny("longcat_flash-bias-yarn-tied", "LongcatFlash", LONGCAT | {
        "attention_bias": True, "rope_parameters": YARN | MSCALE, "tie_word_embeddings": True, "num_layers": 2,
        "routed_scaling_factor": 1.7, "moe_topk": 2,
    }),
    Tiny("glm4_moe", "Glm4Moe", GLM4 | {"head_dim": 12}),
    Tiny("glm4_moe-norms-bias", "Glm4Moe", GLM4 | {
        "use_qk_norm": True, "attention_bias": True, "head_dim": 10, "first_k_dense_replace": 0, "n_group": 1,
        "topk_group": 1, "tie_word_embeddings": True,
    }),
    Tiny("minimax_m2", "MiniMaxM2", MINIMAX_M2),
    Tiny("minimax_m2-partial-tied", "MiniMaxM2", MINIMAX_M2 | {
        "tie_word_embeddings": True, "num_experts_per_tok": 3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.4},
    }),
    Tiny("minimax_m2-rotary_dim", "MiniMaxM2", MINIMAX_M2 | {"rotary_dim": 6}),
    Tiny("granitemoe", "GraniteMoe", GRANITE),
    Tiny("granitemoe-scaled", "GraniteMoe", GRANITE | GRANITE_SCALES | {
        "attention_multiplier": None, "attention_bias": True, "tie_word_embeddings": True,
    }),
    Tiny("granitemoeshared", "GraniteMoeShared", GRANITE | GRANITE_SCALES | {"shared_intermediate_size": 17}),
    Tiny("granitemoeshared-none", "GraniteMoeShared", GRANITE),
    Tiny("dbrx", "Dbrx", dbrx({"kv_n_heads": 2, "clip_qkv": 8.0}, {})),
    Tiny("dbrx-clip-power", "Dbrx", dbrx({"kv_n_heads": 3, "clip_qkv": 0.4}, {
        "moe_normalize_expert_weights": 2.0, "moe_top_k": 3,
    })),
    Tiny("dbrx-plain-weights", "Dbrx", dbrx({"kv_n_heads": 6, "clip_qkv": 0.7}, {
        "moe_normalize_expert_weights": None,
    })),
    Tiny("exaone_moe", "ExaoneMoe", EXAONE),
    Tiny("exaone_moe-groups-pattern", "ExaoneMoe", EXAONE | {
        "num_experts": 9, "n_group": 3, "topk_group": 2, "sliding_window_pattern": 2, "first_k_dense_replace": 2,
        "num_shared_experts": 2, "tie_word_embeddings": True,
    }),
    Tiny("exaone_moe-listed", "ExaoneMoe", EXAONE | {
        "mlp_layer_types": ["sparse", "dense", "sparse"], "norm_topk_prob": False,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
    }),
    Tiny("ernie4_5_moe", "Ernie4_5_Moe", ERNIE),
    Tiny("ernie4_5_moe-biases", "Ernie4_5_Moe", ERNIE | {
        "use_bias": True, "moe_layer_interval": 2, "tie_word_embeddings": False, "moe_num_shared_experts": 0,
    }),
    Tiny("ernie4_5_moe-between", "Ernie4_5_Moe", ERNIE | {
        "num_hidden_layers": 4, "moe_layer_start_index": 1, "moe_layer_end_index": 2, "moe_norm_min": 0.7,
    }),
    Tiny("hunyuan_v1_moe", "HunYuanMoEV1", HUNYUAN),
    Tiny("hunyuan_v1_moe-bias-listed", "HunYuanMoEV1", HUNYUAN | {
        "attention_bias": True, "moe_topk": [3, 3, 3], "tie_word_embeddings": True,
    }),
    Tiny("hunyuan_v1_moe-alpha", "HunYuanMoEV1", HUNYUAN | {
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "alpha": 50.0, "factor": 1.0},
    }),
    Tiny("llama4_text", "Llama4Text", LLAMA4),
    Tiny("llama4_text-plain-listed", "Llama4Text", LLAMA4 | {
        "use_qk_norm": False, "moe_layers": [1], "attention_bias": True, "tie_word_embeddings": True,
        "no_rope_layers": [1, 0, 1, 1], "num_experts_per_tok": 2,
    }),
    Tiny("llama4_text-all-chunks", "Llama4Text", LLAMA4 | {
        "interleave_moe_layer_step": 2, "attn_temperature_tuning": False,
        "layer_types": ["full_attention", "chunked_attention", "chunked_attention", "chunked_attention"],
    }),
    Tiny("step3p5", "Step3p7Text", STEP3P5, "Model"),
    Tiny("step3p5-biases-limits", "Step3p7Text", STEP3P5 | {
        "attention_bias": True, "mlp_bias": True, "swiglu_limits": [0, 0.2, 0.3, None],
        "swiglu_limits_shared": [0.1, 0.3, 0, 0.4], "mlp_layer_types": ["dense", "sparse", "sparse", "dense"],
        "moe_router_scaling_factor": 1.7, "query_pre_attn_scalar": 5, "rope_theta": [1e3, 1e4, 1e3, 1e4],
        "partial_rotary_factors": [0.5, 1.0, 0.5, 1.0],
    }, "Model"),
    Tiny("minimax_m3_vl_text", "MiniMaxM3VLText", MINIMAX_M3),
    Tiny("minimax_m3_vl_text-partial-tied", "MiniMaxM3VLText", MINIMAX_M3 | {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}, "rotary_dim": 4,
        "tie_word_embeddings": True, "swiglu_alpha": 0.9, "routed_scaling_factor": 1.3, "index_n_heads": 3,
        "mlp_layer_types": None, "layer_types": None, "num_key_value_heads": 3, "rms_norm_eps": 0.02,
    }),
]
# fmt: on
