"""Tiny random models whose layers mix tokens by a recurrence or a convolution, in all or some of their layers."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import ENDS, LLAMA, WIDE, Tiny

# Recurrences add up differently in chunks than step by step.
RECURRENT = 2e-3
MAMBA: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 3, "state_size": 5, "conv_kernel": 4,
} | ENDS  # fmt: skip
MAMBA2: dict[str, Any] = MAMBA | {"num_heads": 6, "head_dim": 8, "n_groups": 2, "state_size": 7}
ZAMBA: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 5, "num_key_value_heads": 6, "n_mamba_heads": 2, "mamba_d_state": 5, "mamba_dt_rank": 3,
    "attn_layer_period": 2, "attn_layer_offset": 1,
}  # fmt: skip
ZAMBA2: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 5, "num_key_value_heads": None, "n_mamba_heads": 6, "mamba_d_state": 7, "num_mem_blocks": 2,
    "adapter_rank": 3, "use_shared_attention_adapter": True, "use_mem_rope": True, "chunk_size": 4,
    "layers_block_type": ["hybrid", "mamba", "hybrid", "hybrid", "hybrid"],
}  # fmt: skip
OLMO_HYBRID: dict[str, Any] = LLAMA | {"num_hidden_layers": 4}
LFM2: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "block_multiple_of": 10, "full_attn_idxs": [1, 3],
}  # fmt: skip
LFM2_MOE: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "moe_intermediate_size": 14, "num_experts": 7, "num_experts_per_tok": 3,
    "layer_types": ["conv", "full_attention", "conv", "full_attention"], "num_dense_layers": 1,
}  # fmt: skip
QWEN3_5: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "head_dim": 16, "linear_num_key_heads": 3, "linear_num_value_heads": 6,
    "linear_key_head_dim": 5, "linear_value_head_dim": 7,
}  # fmt: skip
BAMBA: dict[str, Any] = WIDE | {
    "num_hidden_layers": 4, "mamba_n_heads": 8, "mamba_d_state": 7, "mamba_n_groups": 2, "attn_layer_indices": [1, 2],
}  # fmt: skip
QWEN3_NEXT: dict[str, Any] = QWEN3_5 | {
    "moe_intermediate_size": 14, "shared_expert_intermediate_size": 17, "num_experts": 9, "num_experts_per_tok": 3,
}  # fmt: skip
FALCON_H1: dict[str, Any] = LLAMA | {
    "mamba_d_ssm": 40, "mamba_n_heads": 8, "mamba_d_state": 7, "mamba_n_groups": 2,
}  # fmt: skip
JAMBA: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "num_experts": 5, "attn_layer_period": 3, "attn_layer_offset": 1, "mamba_d_state": 7,
    "mamba_dt_rank": 3,
}  # fmt: skip
GRANITE: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "mamba_n_heads": 8, "mamba_d_state": 7, "mamba_n_groups": 2, "num_local_experts": 5,
    "shared_intermediate_size": 17, "intermediate_size": 14,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention"],
}  # fmt: skip
MINIMAX: dict[str, Any] = LLAMA | {"num_hidden_layers": 4, "num_local_experts": 5, "block_size": 7}
NEMOTRON_H: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_attention_heads": 6, "num_key_value_heads": 2,
    "head_dim": 10, "mamba_num_heads": 8, "mamba_head_dim": 5, "ssm_state_size": 7, "n_groups": 2,
    "n_routed_experts": 9, "num_experts_per_tok": 3, "moe_intermediate_size": 14,
    "moe_shared_expert_intermediate_size": 17,
    "layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"],
} | ENDS  # fmt: skip
KIMI_LINEAR: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "num_key_value_heads": 6, "moe_intermediate_size": 14, "kv_lora_rank": 13,
    "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 5, "num_local_experts": 9, "num_experts_per_tok": 3,
    "linear_head_dim": 7, "linear_num_heads": 5,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention"],
}  # fmt: skip
RECURRENT_GEMMA: dict[str, Any] = LLAMA | {
    "num_hidden_layers": 4, "num_attention_heads": 3, "num_key_value_heads": 1, "attention_window_size": 5,
}  # fmt: skip
RWKV: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 4, "attention_hidden_size": 20, "intermediate_size": 52,
    "rescale_every": 2,
} | ENDS  # fmt: skip

# One model a mixer, run on more tokens than a chunk has; and those of which every tensor is changed in turn.
LONG = ("minimax", "kimi_linear", "mamba", "mamba2-biases-tied", "lfm2", "qwen3_5_text", "recurrent_gemma", "rwkv")
PERTURBED = (
    "mamba",
    "falcon_mamba",
    "mamba2",
    "lfm2",
    "lfm2_moe",
    "qwen3_5_text",
    "qwen3_next",
    "bamba",
    "falcon_h1-norm-after-gate",
    "recurrent_gemma",
    "rwkv",
    "jamba",
    "zamba2",
    "olmo_hybrid",
    "granitemoehybrid",
    "nemotron_h-biases-latent",
    "kimi_linear",
)

TINY_HYBRIDS = [
    Tiny("mamba", "Mamba", MAMBA),
    Tiny("mamba-biases-untied", "Mamba", MAMBA | {
        "use_bias": True, "use_conv_bias": False, "tie_word_embeddings": False, "time_step_rank": 3, "expand": 3,
        "conv_kernel": 3, "hidden_act": "gelu",
    }),
    Tiny("mamba-base", "Mamba", MAMBA, "Model"),
    Tiny("falcon_mamba", "FalconMamba", MAMBA | {"mixer_rms_eps": 0.02}),
    Tiny("falcon_mamba-biases-untied", "FalconMamba", MAMBA | {
        "use_bias": True, "use_conv_bias": False, "tie_word_embeddings": False, "time_step_rank": 3, "expand": 3,
        "conv_kernel": 3, "hidden_act": "gelu",
    }),
    Tiny("mamba2", "Mamba2", MAMBA2),
    Tiny("mamba2-biases-tied", "Mamba2", MAMBA2 | {
        "use_bias": True, "use_conv_bias": False, "tie_word_embeddings": True, "time_step_limit": [0.1, 0.6],
        "n_groups": 3, "chunk_size": 4,
    }),
    Tiny("lfm2", "Lfm2", LFM2),
    Tiny("lfm2-biases-untied", "Lfm2", LFM2 | {
        "conv_bias": True, "conv_L_cache": 4, "tie_word_embeddings": False, "block_auto_adjust_ff_dim": False,
    }),
    Tiny("lfm2-layer_types", "Lfm2", LFM2 | {
        "layer_types": ["full_attention", "conv", "conv", "conv"], "block_ffn_dim_multiplier": 1.3,
    }),
    Tiny("lfm2_moe", "Lfm2Moe", LFM2_MOE),
    Tiny("qwen3_5_text", "Qwen3_5Text", QWEN3_5),
    Tiny("qwen3_5_text-biases-tied", "Qwen3_5Text", QWEN3_5 | {
        "attention_bias": True, "tie_word_embeddings": True, "linear_num_value_heads": 3, "linear_conv_kernel_dim": 3,
        "layer_types": ["full_attention", "linear_attention", "linear_attention", "full_attention"],
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
    }),
    Tiny("lfm2_moe-no-bias", "Lfm2Moe", LFM2_MOE | {
        "use_expert_bias": False, "norm_topk_prob": False, "routed_scaling_factor": 1.7, "conv_bias": True,
    }),
    Tiny("bamba", "Bamba", BAMBA),
    Tiny("bamba-biases-tied", "Bamba", BAMBA | {
        "attention_bias": True, "mlp_bias": True, "mamba_proj_bias": True, "mamba_conv_bias": False,
        "tie_word_embeddings": True, "time_step_limit": [0.1, 0.6], "num_key_value_heads": 6, "mamba_expand": 3,
        "mamba_d_conv": 3,
    }),
    Tiny("qwen3_next", "Qwen3Next", QWEN3_NEXT),
    Tiny("qwen3_next-dense-layers", "Qwen3Next", QWEN3_NEXT | {
        "mlp_only_layers": [1], "decoder_sparse_step": 2, "norm_topk_prob": False, "attention_bias": True,
        "tie_word_embeddings": True, "layer_types": ["full_attention", "linear_attention"] * 2,
    }),
    Tiny("qwen3_5_moe_text", "Qwen3_5MoeText", QWEN3_NEXT),
    Tiny("olmo_hybrid", "OlmoHybrid", OLMO_HYBRID),
    Tiny("olmo_hybrid-bias-tied", "OlmoHybrid", OLMO_HYBRID | {
        "attention_bias": True, "tie_word_embeddings": True, "linear_allow_neg_eigval": False, "hidden_act": "gelu",
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 5, "linear_value_head_dim": 7,
        "linear_conv_kernel_dim": 3, "rope_parameters": {"rope_theta": None, "rope_type": "default"},
        "layer_types": ["full_attention", "linear_attention", "linear_attention", "full_attention"],
    }),
    Tiny("zamba", "Zamba", ZAMBA),
    Tiny("zamba-biases-untied", "Zamba", ZAMBA | {
        "mamba_proj_bias": True, "mamba_conv_bias": False, "tie_word_embeddings": False, "mamba_dt_rank": 5,
        "n_mamba_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "hidden_mamba_act": "gelu",
        "num_hidden_layers": 4,
        "layers_block_type": ["hybrid", "mamba", "hybrid", "hybrid"],
    }),
    Tiny("zamba2", "Zamba2", ZAMBA2),
    Tiny("zamba2-biases-untied", "Zamba2", ZAMBA2 | {
        "add_bias_linear": True, "tie_word_embeddings": False, "mamba_ngroups": 2, "num_mem_blocks": 1,
        "use_shared_attention_adapter": False, "use_mem_rope": False, "intermediate_size": None, "hidden_act": "silu",
        "num_key_value_heads": 2, "mamba_expand": 3, "time_step_min": 0.5, "num_hidden_layers": 4,
        "layers_block_type": ["hybrid", "mamba", "hybrid", "hybrid"],
    }),
    Tiny("jamba", "Jamba", JAMBA),
    Tiny("jamba-biases-tied", "Jamba", JAMBA | {
        "mamba_proj_bias": True, "mamba_conv_bias": False, "tie_word_embeddings": True, "mamba_dt_rank": 5,
        "expert_layer_period": 3, "expert_layer_offset": 2, "num_key_value_heads": 6, "hidden_act": "gelu",
    }),
    Tiny("jamba-dense", "Jamba", JAMBA | {"num_experts": 1, "attn_layer_period": 2, "attn_layer_offset": 0}),
    Tiny("granitemoehybrid", "GraniteMoeHybrid", GRANITE),
    Tiny("granitemoehybrid-biases-rope", "GraniteMoeHybrid", GRANITE | {
        "attention_bias": True, "mamba_proj_bias": True, "mamba_conv_bias": False, "tie_word_embeddings": True,
        "position_embedding_type": "rope", "embedding_multiplier": 2.5, "logits_scaling": 1.7,
        "residual_multiplier": 0.6, "attention_multiplier": 0.3, "num_experts_per_tok": 3, "num_key_value_heads": 6,
    }),
    Tiny("granitemoehybrid-dense", "GraniteMoeHybrid", GRANITE | {"num_local_experts": 0, "layer_types": None}),
    Tiny("nemotron_h", "NemotronH", NEMOTRON_H),
    Tiny("nemotron_h-biases-latent", "NemotronH", NEMOTRON_H | {
        "mlp_bias": True, "use_bias": True, "use_conv_bias": False, "moe_latent_size": 11, "n_group": 3,
        "topk_group": 2, "routed_scaling_factor": 1.7, "tie_word_embeddings": True, "num_key_value_heads": 6,
    }),
    Tiny("nemotron_h-plain-weights", "NemotronH", NEMOTRON_H | {
        "norm_topk_prob": False, "time_step_min": 0.5, "mlp_hidden_act": "silu",
        "layers_block_type": ["moe", "attention", "mamba"],
    }),
    Tiny("kimi_linear", "KimiLinear", KIMI_LINEAR),
    Tiny("kimi_linear-biases-ranks", "KimiLinear", KIMI_LINEAR | {
        "attention_bias": True, "q_lora_rank": 11, "n_group": 3, "topk_group": 2, "norm_topk_prob": False,
        "n_shared_experts": 2, "linear_conv_kernel_dim": 3, "layer_types": None, "num_hidden_layers": 5,
        "mlp_layer_types": ["sparse", "dense", "sparse", "sparse", "dense"],
    }),
    Tiny("minimax", "MiniMax", MINIMAX),
    Tiny("minimax-scaled", "MiniMax", MINIMAX | {
        "full_attn_alpha_factor": 1.3, "full_attn_beta_factor": 0.7, "linear_attn_alpha_factor": 0.9,
        "linear_attn_beta_factor": 1.2, "mlp_alpha_factor": 1.1, "mlp_beta_factor": 0.8, "tie_word_embeddings": True,
        "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"], "block_size": 16,
        "num_key_value_heads": 6, "head_dim": 10,
    }),
    Tiny("minimax-window", "MiniMax", MINIMAX | {"sliding_window": 5}),
    Tiny("falcon_h1", "FalconH1", FALCON_H1),
    Tiny("falcon_h1-biases-tied", "FalconH1", FALCON_H1 | {
        "attention_bias": True, "mlp_bias": True, "mamba_proj_bias": True, "projectors_bias": True,
        "mamba_conv_bias": False, "tie_word_embeddings": True, "mamba_rms_norm": True, "num_key_value_heads": 6,
        "mlp_multipliers": [0.7, 1.3], "ssm_multipliers": [0.5, 0.6, 0.7, 1.2, 1.3], "key_multiplier": 0.8,
        "attention_in_multiplier": 1.1, "attention_out_multiplier": 0.9, "ssm_in_multiplier": 1.2,
        "ssm_out_multiplier": 0.6, "lm_head_multiplier": 0.4, "embedding_multiplier": 2.5,
    }),
    Tiny("falcon_h1-norm-after-gate", "FalconH1", FALCON_H1 | {
        "mamba_rms_norm": True, "mamba_norm_before_gate": False, "mamba_d_ssm": None, "mamba_n_heads": 6,
    }),
    Tiny("recurrent_gemma", "RecurrentGemma", RECURRENT_GEMMA),
    Tiny("recurrent_gemma-biases-untied", "RecurrentGemma", RECURRENT_GEMMA | {
        "attention_bias": True, "tie_word_embeddings": False, "lru_width": 18,
        "block_types": ["attention", "recurrent"],        "num_key_value_heads": None,
        "conv1d_width": 3, "logits_soft_cap": 3.0, "hidden_activation": "gelu",
    }),
    Tiny("rwkv", "Rwkv", RWKV),
    Tiny("rwkv-tied-unscaled", "Rwkv", RWKV | {
        "tie_word_embeddings": True, "rescale_every": 0, "attention_hidden_size": None, "intermediate_size": None,
    }),
    Tiny("rwkv-base", "Rwkv", RWKV, "Model"),
    Tiny("bamba-all-mamba", "Bamba", BAMBA | {"attn_layer_indices": None, "mamba_n_groups": 1, "mamba_d_head": 24}),
]  # fmt: skip
