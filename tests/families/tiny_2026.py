"""Tiny models of text types that came with transformers 5 in 2026."""

from __future__ import annotations

from tests.families.tiny import DEEPSEEK, ENDS, LLAMA, YARN, Tiny
from tests.families.tiny_dense import ALTERNATING, BIASES, DEEP, HEAD, MULTIPLIERS, NEAR, WINDOW

PLAIN = {"attention_bias": False, "mlp_bias": False}
KINDS = ALTERNATING | {"mlp_layer_types": ["sparse", "dense", "sparse"]}
EXPERTS = {"moe_intermediate_size": 14, "num_experts": 5, "num_experts_per_tok": 2}
# Sixteen tokens go beyond the eight before extension.
LATE = YARN | {"original_max_position_embeddings": 8, "llama_4_scaling_beta": 0.7, "mscale": 1.0, "mscale_all_dim": 0.5}
LING = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "moe_intermediate_size": 14, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 6, "num_local_experts": 6, "num_experts_per_tok": 2, "n_group": 3,
    "topk_group": 2, "first_k_dense_replace": 1, "kv_lora_rank": 13, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
    "v_head_dim": 5, "head_dim": 10, "layer_group_size": 2, "num_mtp_layers": 0,
} | ENDS  # fmt: skip

TINY_2026 = [
    Tiny("vaultgemma", "VaultGemma", LLAMA | HEAD | WINDOW),
    Tiny("vaultgemma-listed-bias-untied", "VaultGemma", LLAMA | HEAD | WINDOW | ALTERNATING | {
        "attention_bias": True, "tie_word_embeddings": False, "query_pre_attn_scalar": 7,
        "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0,
    }),
    Tiny("jais2", "Jais2", LLAMA),
    Tiny("jais2-plain-tied", "Jais2", LLAMA | PLAIN | HEAD | {"tie_word_embeddings": True, "rope_parameters": YARN}),
    Tiny("hyperclovax", "HyperCLOVAX", LLAMA | MULTIPLIERS),
    Tiny("hyperclovax-biases-no-norms", "HyperCLOVAX", LLAMA | BIASES | HEAD | {"use_post_norm": False}),
    Tiny("granite_swa", "GraniteSWA", DEEP | MULTIPLIERS | WINDOW),
    Tiny("granite_swa-thetas-biases", "GraniteSWA", LLAMA | BIASES | WINDOW | ALTERNATING | {
        "layer_rope_theta": [0, 1e4, 1e2], "tie_word_embeddings": False,
    }),
    Tiny("granitemoe_swa", "GraniteMoeSWA", LLAMA | MULTIPLIERS | WINDOW | {"num_local_experts": 5}),
    Tiny("granitemoe_swa-shared", "GraniteMoeSWA", LLAMA | WINDOW | ALTERNATING | {
        "num_local_experts": 5, "shared_intermediate_size": 11, "layer_rope_theta": [0, 1e4, 1e2],
    }),
    Tiny("mellum", "Mellum", LLAMA | HEAD | EXPERTS),
    Tiny("mellum-kinds-bias-tied", "Mellum", LLAMA | EXPERTS | WINDOW | KINDS | HEAD | {
        "attention_bias": True, "tie_word_embeddings": True, "norm_topk_prob": False, "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e5},
            "sliding_attention": NEAR,
        },
    }),
    Tiny("flex_olmo", "FlexOlmo", LLAMA | {"num_experts": 5, "num_experts_per_tok": 2}),
    Tiny("flex_olmo-bias-tied", "FlexOlmo", LLAMA | {
        "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": True, "attention_bias": True,
        "tie_word_embeddings": True,
    }),
    Tiny("flint", "Flint", LLAMA | HEAD | EXPERTS | WINDOW | {"shared_expert_intermediate_size": 11}),
    Tiny("flint-listed", "Flint", LLAMA | HEAD | EXPERTS | WINDOW | ALTERNATING | {
        "shared_expert_intermediate_size": 11, "mlp_only_layers": [], "attention_bias": True, "norm_topk_prob": False,
    }),
    Tiny("mistral4", "Mistral4", DEEPSEEK | {"rope_parameters": LATE}),
    Tiny("mistral4-plain-bias", "Mistral4", DEEPSEEK | {
        "q_lora_rank": None, "attention_bias": True, "rope_interleave": False, "norm_topk_prob": False,
        "routed_scaling_factor": 1.7, "rope_parameters": YARN | {"llama_4_scaling_beta": 0.0},
    }),
    Tiny("lfm3", "Lfm3", DEEP | HEAD | WINDOW),
    Tiny("lfm3-listed-plain", "Lfm3", LLAMA | HEAD | WINDOW | {
        "layer_types": ["sliding_attention", "conv", "full_attention"], "use_sandwich_norm": False, "conv_bias": True,
        "use_attention_gate": False, "attention_bias": True, "tie_word_embeddings": False, "conv_L_cache": 3,
        "rope_parameters": {"sliding_attention": NEAR, "full_attention": {"rope_type": "default", "rope_theta": 1e5}},
    }),
    Tiny("laguna", "Laguna", LLAMA | HEAD | EXPERTS | WINDOW | {"shared_expert_intermediate_size": 11}),
    Tiny("laguna-heads-elements", "Laguna", LLAMA | HEAD | EXPERTS | WINDOW | KINDS | {
        "shared_expert_intermediate_size": 11, "num_attention_heads_per_layer": [6, 4, 8], "gating": "per-element",
        "attention_bias": True, "tie_word_embeddings": True, "moe_router_logit_softcapping": 0.5,
        "moe_routed_scaling_factor": 1.7, "rope_parameters": {
            "full_attention": YARN | {"partial_rotary_factor": 0.6},
            "sliding_attention": NEAR | {"partial_rotary_factor": 0.4},
        },
    }),
    Tiny("axk1", "AXK1", DEEPSEEK),
    Tiny("axk1-listed-bias", "AXK1", DEEPSEEK | {
        "mlp_layer_types": ["sparse", "dense", "sparse"], "attention_bias": True, "rope_interleave": False,
        "rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 1.3},
    }),
    Tiny("bailing_hybrid", "BailingHybrid", LING),
    Tiny("bailing_hybrid-listed-unbounded", "BailingHybrid", LING | {
        "layer_types": ["full_attention", "linear_attention", "linear_attention"], "kda_safe_gate": False,
        "mlp_layer_types": ["sparse", "dense", "sparse"], "attention_bias": True, "short_conv_kernel_size": 3,
        "rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 1.3},
    }),
]  # fmt: skip
