"""Defaults of config classes that several families share, or begin with."""

from __future__ import annotations

from typing import Any

from weightscope.config import Nullable

# What every decoder's class has.
DECODER: dict[str, Any] = {"is_causal": True, "tie_word_embeddings": False}
# The keys of every class with a rotation, whose theta and scaling come in either of two dialects.
ROPE: dict[str, Any] = {
    "max_position_embeddings": 2048, "rope_theta": 10000.0, "rope_scaling": Nullable(dict),
    "rope_parameters": Nullable(dict),
    # No field of most classes, but transformers' scalings prefer it to their own of any config that has it.
    "original_max_position_embeddings": Nullable(int),
}  # fmt: skip
LLAMA: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "attention_bias": False, "mlp_bias": False,
}  # fmt: skip
MISTRAL: dict[str, Any] = LLAMA | {
    "intermediate_size": 14336, "num_key_value_heads": Nullable(int, 8), "max_position_embeddings": 131072,
    "sliding_window": Nullable(int, 4096),
}  # fmt: skip
QWEN2: dict[str, Any] = LLAMA | {
    "vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": Nullable(int, 32),
    "max_position_embeddings": 32768, "use_sliding_window": False, "sliding_window": Nullable(int, 4096),
    "max_window_layers": Nullable(int, 28), "layer_types": Nullable(list),
}  # fmt: skip
COHERE: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528, "logit_scale": 0.0625,
    "num_hidden_layers": 40, "num_attention_heads": 64, "num_key_value_heads": Nullable(int), "hidden_act": "silu",
    "max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "tie_word_embeddings": True, "rope_theta": 500000.0,
    "attention_bias": False, "use_qk_norm": False,
    # No field of the class, but its attention and rotation ask the config for it.
    "head_dim": Nullable(int),
}  # fmt: skip
DEEPSEEK: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "n_shared_experts": Nullable(int, 1), "n_routed_experts": 256,
    "num_experts_per_tok": 8, "n_group": Nullable(int, 8), "topk_group": Nullable(int, 4), "norm_topk_prob": True,
    "routed_scaling_factor": 2.5, "first_k_dense_replace": 3,
    # Only in DeepSeek's own code: each so many layers are mixed.
    "moe_layer_freq": 1, "q_lora_rank": Nullable(int, 1536), "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096, "rope_interleave": True, "attention_bias": False,
    "num_nextn_predict_layers": Nullable(int, 1),
}  # fmt: skip
GRANITE: dict[str, Any] = LLAMA | {
    "embedding_multiplier": 1.0, "logits_scaling": 1.0, "residual_multiplier": 1.0,
    # Null: the root of the head size, as elsewhere.
    "attention_multiplier": Nullable(float, 1.0),
}  # fmt: skip
DEEPSEEK_V32 = DEEPSEEK | {
    "max_position_embeddings": 163840, "num_nextn_predict_layers": Nullable(int, 0), "index_topk": 2048,
    "index_head_dim": 128, "index_n_heads": 64, "mlp_layer_types": Nullable(list),
}  # fmt: skip
QWEN2_MOE = QWEN2 | {
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 16), "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts": 60, "num_experts_per_tok": 4,
    "norm_topk_prob": False, "qkv_bias": True,
}  # fmt: skip
# What the config classes of Bamba, Falcon-H1 and Granite 4 have in common; where they differ, Bamba's.
MAMBA2_HYBRID: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 128000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "attention_bias": False, "mlp_bias": False, "mamba_n_heads": 128,
    "mamba_d_head": Nullable(object), "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_expand": 2,
    "mamba_conv_bias": Nullable(bool, True), "mamba_proj_bias": Nullable(bool, False),
    "time_step_limit": Nullable(list),
}  # fmt: skip
# Qwen3-Next and Qwen 3.5: delta nets, and among them attention.
DELTA: dict[str, Any] = DECODER | ROPE | {
    "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "partial_rotary_factor": 0.25,
    "attention_bias": False, "attn_output_gate": True, "head_dim": 256, "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
    "layer_types": Nullable(list), "full_attention_interval": Nullable(int, 4),
    "mtp_num_hidden_layers": Nullable(int, 0),
}  # fmt: skip
LFM2_BOTH: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 65536, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int), "max_position_embeddings": 128000, "norm_eps": 1e-5, "rope_theta": 1000000.0,
    "tie_word_embeddings": True, "conv_bias": False, "conv_L_cache": 3, "layer_types": Nullable(list),
}  # fmt: skip
QWEN3_NEXT: dict[str, Any] = DELTA | {
    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 2, "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "num_experts_per_tok": 10, "num_experts": 512,
    "norm_topk_prob": True,
    # published with one, which the config leaves out
    "mtp_num_hidden_layers": Nullable(int, 1),
}  # fmt: skip
GEMMA: dict[str, Any] = DECODER | ROPE | {
    "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": Nullable(int, 16), "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 8192,
    "tie_word_embeddings": True, "attention_bias": False,
}  # fmt: skip
GEMMA2: dict[str, Any] = GEMMA | {
    "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
    "num_key_value_heads": Nullable(int, 4), "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": Nullable(int, 256), "sliding_window": Nullable(int, 4096), "layer_types": Nullable(list),
    "attn_logit_softcapping": Nullable(float, 50.0), "final_logit_softcapping": Nullable(float, 30.0),
}  # fmt: skip
