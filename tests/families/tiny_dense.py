"""Tiny dense models beyond the first families, in the settings that change their names, shapes or maths."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import ENDS, LLAMA, WIDE, YARN, Tiny

WINDOW = {"sliding_window": 5}
HEAD = {"head_dim": 10}
ALTERNATING = {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}
NEAR: dict[str, Any] = {"rope_type": "default", "rope_theta": 3e3}
BIASES = {"attention_bias": True, "mlp_bias": True}
DEEP = LLAMA | {"num_hidden_layers": 5}
LATENT = {"q_lora_rank": 11, "kv_lora_rank": 13, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 5}
YOUTU = LLAMA | LATENT | {"num_key_value_heads": 6}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "logits_scaling": 7,
    "residual_multiplier": 0.3,
    "attention_multiplier": 0.2,
}

GPT = {"vocab_size": 101, "n_positions": 37, "n_embd": 24, "n_layer": 3, "n_head": 4} | ENDS
NEO = {
    "vocab_size": 101, "max_position_embeddings": 37, "hidden_size": 24, "num_layers": 3, "num_heads": 6,
    "attention_types": [[["global", "local"], 1], [["local"], 1]], "window_size": 5,
} | ENDS  # fmt: skip
MPT = {"vocab_size": 101, "d_model": 24, "n_heads": 6, "n_layers": 3, "max_seq_len": 41} | ENDS
FALCON = {"vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 6} | ENDS
OPT = FALCON | {"ffn_dim": 53, "max_position_embeddings": 37}
GEMMA4 = LLAMA | {
    "head_dim": 10, "global_head_dim": 16, "sliding_window": 5, "hidden_size_per_layer_input": 7,
    "vocab_size_per_layer_input": 103, "num_hidden_layers": 6,
}  # fmt: skip
GEMMA3N = LLAMA | {
    "head_dim": 10, "sliding_window": 5, "hidden_size_per_layer_input": 7, "vocab_size_per_layer_input": 103,
    "num_hidden_layers": 6, "laurel_rank": 9, "num_kv_shared_layers": 0,
}  # fmt: skip
PAIRS = ["sliding_attention", "full_attention"] * 3
GEMMA4 = LLAMA | {
    "head_dim": 10, "global_head_dim": 16, "sliding_window": 5, "hidden_size_per_layer_input": 7,
    "vocab_size_per_layer_input": 103, "num_hidden_layers": 6,
}  # fmt: skip
GEMMA3N = LLAMA | {
    "head_dim": 10, "sliding_window": 5, "hidden_size_per_layer_input": 7, "vocab_size_per_layer_input": 103,
    "num_hidden_layers": 6, "laurel_rank": 9, "num_kv_shared_layers": 0,
}  # fmt: skip
PAIRS = ["sliding_attention", "full_attention"] * 3

TINY_DENSE = [
    Tiny("gemma3_text", "Gemma3Text", DEEP | HEAD | WINDOW | {"sliding_window_pattern": 2}),
    Tiny("gemma3_text-scaled", "Gemma3Text", LLAMA | HEAD | WINDOW | ALTERNATING | {
        "rope_parameters": {
            "sliding_attention": NEAR,
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e5},
        },
        "query_pre_attn_scalar": 7,
        "attn_logit_softcapping": 20.0,
        "final_logit_softcapping": 15.0,
        "attention_bias": True,
        "tie_word_embeddings": False,
    }),
    Tiny("cwm", "Cwm", DEEP | WINDOW | HEAD),
    Tiny("cwm-biases-listed-tied", "Cwm", LLAMA | WINDOW | HEAD | ALTERNATING | {
        "mlp_bias": True, "tie_word_embeddings": True, "rope_parameters": YARN,
    }),
    Tiny("youtu", "Youtu", YOUTU),
    Tiny("youtu-halves-bias-untied", "Youtu", YOUTU | {
        "rope_interleave": False, "attention_bias": True, "q_lora_rank": None, "tie_word_embeddings": False,
        "rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 1.3},
    }),
    Tiny("phi", "Phi", WIDE),
    Tiny("phi-norms-rotary", "Phi", LLAMA | {
        "qk_layernorm": True, "num_key_value_heads": 6, "hidden_size": 48, "intermediate_size": 53,
        "partial_rotary_factor": 0.75,
    }),
    Tiny("phi-head_dim", "Phi", LLAMA | {"head_dim": 12}),
    Tiny("nanochat", "NanoChat", LLAMA),
    Tiny("nanochat-mha-bias-tied", "NanoChat", LLAMA | {
        "num_key_value_heads": None, "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 0.02,
        "final_logit_softcapping": None,
    }),
    Tiny("nanochat-cap", "NanoChat", LLAMA | HEAD | {"final_logit_softcapping": 0.7}),
    Tiny("bitnet", "BitNet", LLAMA),
    Tiny("bitnet-bias-tied", "BitNet", LLAMA | {
        "num_key_value_heads": None, "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 0.02,
        "hidden_act": "silu",
    }),
    Tiny("olmo", "Olmo", LLAMA),
    Tiny("olmo-clip-tied-bias", "Olmo", LLAMA | {
        "clip_qkv": 0.7, "tie_word_embeddings": True, "attention_bias": True,
    }),
    Tiny("olmo2", "Olmo2", LLAMA),
    Tiny("olmo2-mha-tied-bias", "Olmo2", LLAMA | {
        "num_key_value_heads": 6, "tie_word_embeddings": True, "attention_bias": True,
    }),
    Tiny("olmo3", "Olmo3", DEEP | WINDOW),
    Tiny("olmo3-yarn", "Olmo3", LLAMA | WINDOW | ALTERNATING | {
        "rope_parameters": {"sliding_attention": NEAR, "full_attention": YARN},
    }),
    Tiny("glm", "Glm", LLAMA | HEAD | {"head_dim": 12}),
    Tiny("glm-no-bias-tied", "Glm", LLAMA | HEAD | {
        "attention_bias": False, "tie_word_embeddings": True, "head_dim": 20,
    }),
    Tiny("glm4", "Glm4", LLAMA | {"head_dim": 12}),
    Tiny("glm4-no-bias", "Glm4", LLAMA | {"head_dim": 8, "attention_bias": False}),
    Tiny("cohere", "Cohere", LLAMA | {"logit_scale": 0.3}),
    Tiny("cohere-norms", "Cohere", LLAMA | {
        "use_qk_norm": True, "num_key_value_heads": 3, "attention_bias": True, "tie_word_embeddings": False,
    }),
    Tiny("cohere2", "Cohere2", DEEP | WINDOW | {"logit_scale": 0.3}),
    Tiny("cohere2-pattern-bias", "Cohere2", LLAMA | WINDOW | ALTERNATING | {"attention_bias": True}),
    Tiny("granite", "Granite", LLAMA | MULTIPLIERS),
    Tiny("granite-biases-tied", "Granite", LLAMA | MULTIPLIERS | {
        "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
    }),
    Tiny("smollm3", "SmolLM3", DEEP),
    Tiny("smollm3-window-biases", "SmolLM3", LLAMA | WINDOW | {
        "use_sliding_window": True, "no_rope_layers": [0, 1, 0], "attention_bias": True, "mlp_bias": True,
        "tie_word_embeddings": False,
    }),
    Tiny("stablelm", "StableLm", WIDE),
    Tiny("stablelm-norms-parallel", "StableLm", WIDE | {
        "qk_layernorm": True, "use_parallel_residual": True, "use_qkv_bias": True, "partial_rotary_factor": 0.5,
        "tie_word_embeddings": True,
    }),
    Tiny("starcoder2", "Starcoder2", LLAMA | WINDOW),
    Tiny("starcoder2-no-bias", "Starcoder2", LLAMA | HEAD | {"use_bias": False, "tie_word_embeddings": False}),
    Tiny("nemotron", "Nemotron", LLAMA | {"head_dim": 12}),
    Tiny("nemotron-biases", "Nemotron", LLAMA | BIASES | {"head_dim": 12, "tie_word_embeddings": True}),
    Tiny("exaone4", "Exaone4", DEEP | WINDOW | {"head_dim": 10}),
    Tiny("exaone4-tied", "Exaone4", LLAMA | WINDOW | ALTERNATING | {
        "sliding_window": None, "tie_word_embeddings": True, "layer_types": ["full_attention"] * 3,
    }),
    Tiny("ernie4_5", "Ernie4_5", LLAMA | HEAD),
    Tiny("ernie4_5-biases", "Ernie4_5", LLAMA | HEAD | {"use_bias": True, "tie_word_embeddings": False}),
    Tiny("seed_oss", "SeedOss", LLAMA | HEAD),
    Tiny("seed_oss-biases", "SeedOss", LLAMA | HEAD | {
        "attention_bias": False, "attention_out_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
    }),
    Tiny("hunyuan_v1_dense", "HunYuanDenseV1", LLAMA | HEAD),
    Tiny("hunyuan_v1_dense-alpha", "HunYuanDenseV1", LLAMA | HEAD | {
        "attention_bias": True, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "dynamic", "alpha": 50.0, "factor": 1.0, "rope_theta": 1e4},
    }),
    Tiny("apertus", "Apertus", LLAMA),
    Tiny("apertus-bias-relu", "Apertus", LLAMA | {
        "attention_bias": True, "hidden_act": "relu2", "tie_word_embeddings": True,
    }),
    Tiny("arcee", "Arcee", LLAMA | HEAD),
    Tiny("arcee-biases", "Arcee", LLAMA | BIASES | {"tie_word_embeddings": True}),
    Tiny("helium", "Helium", LLAMA | {"head_dim": 4}),
    Tiny("helium-biases", "Helium", LLAMA | {
        "head_dim": 4, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
    }),
    Tiny("ministral", "Ministral", LLAMA | WINDOW | HEAD),
    Tiny("ministral-alternating", "Ministral", LLAMA | WINDOW | ALTERNATING | HEAD),
    Tiny("ministral3", "Ministral3", LLAMA | HEAD),
    Tiny("ministral3-late", "Ministral3", LLAMA | HEAD | WINDOW | {
        "rope_parameters": YARN | {"original_max_position_embeddings": 4, "llama_4_scaling_beta": 0.9},
    }),
    Tiny("internlm3", "InternLM3", LLAMA | HEAD),
    Tiny("internlm3-biases", "InternLM3", LLAMA | HEAD | {"attention_bias": True, "mlp_bias": True}),
    Tiny("minicpm3", "MiniCPM3", LLAMA | LATENT | {"scale_emb": 3, "dim_model_base": 5, "num_key_value_heads": 6}),
    Tiny("minicpm3-plain", "MiniCPM3", LLAMA | LATENT | {
        "q_lora_rank": None, "v_head_dim": None, "scale_depth": None, "dim_model_base": None, "attention_bias": True,
        "tie_word_embeddings": False, "num_key_value_heads": 6, "mlp_bias": True,
    }),
    Tiny("phi-tied", "Phi", WIDE | {"tie_word_embeddings": True}),
    Tiny("falcon", "Falcon", FALCON),
    Tiny("falcon-grouped-untied", "Falcon", FALCON | {
        "new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 53, "tie_word_embeddings": False,
    }),
    Tiny("falcon-one-norm", "Falcon", FALCON | {
        "new_decoder_architecture": True, "num_kv_heads": 3, "num_ln_in_parallel_attn": 1, "activation": "relu",
    }),
    Tiny("falcon-alibi-bias", "Falcon", FALCON | {
        "alibi": True, "bias": True, "multi_query": False, "parallel_attn": False,
    }),
    Tiny("falcon-alibi-rounded", "Falcon", FALCON | {"alibi": True, "num_attention_heads": 12}),
    Tiny("opt", "OPT", OPT),
    Tiny("opt-norms-after-narrow", "OPT", OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 10}),
    Tiny("opt-no-bias-untied", "OPT", OPT | {
        "enable_bias": False, "layer_norm_elementwise_affine": False, "tie_word_embeddings": False,
    }),
    Tiny("opt-base", "OPT", OPT | {"_remove_final_layer_norm": True}, "Model"),
    Tiny("gptj", "GPTJ", GPT | {"rotary_dim": 4}),
    Tiny("gptj-inner-tied", "GPTJ", GPT | {"rotary_dim": 6, "n_inner": 53, "tie_word_embeddings": True}),
    Tiny("codegen", "CodeGen", GPT | {"rotary_dim": 4}),
    Tiny("codegen-inner-tied", "CodeGen", GPT | {
        "rotary_dim": 2, "n_inner": 53, "tie_word_embeddings": True, "n_head": 8, "n_embd": 32,
    }),
    Tiny("gpt_neo", "GPTNeo", NEO),
    Tiny("gpt_neo-inner-untied", "GPTNeo", NEO | {"intermediate_size": 53, "tie_word_embeddings": False}),
    Tiny("gpt_bigcode", "GPTBigCode", GPT),
    Tiny("gpt_bigcode-many-keys", "GPTBigCode", GPT | {
        "multi_query": False, "n_inner": 53, "tie_word_embeddings": False, "scale_attn_weights": False,
    }),
    Tiny("mpt", "Mpt", MPT),
    Tiny("mpt-clip-untied", "Mpt", MPT | {
        "n_heads": 4, "attn_config": {"clip_qkv": 0.6, "softmax_scale": 0.4}, "tie_word_embeddings": False,
    }),
    Tiny("falcon-tagger", "Falcon", FALCON | {"num_labels": 5}, "ForTokenClassification"),
    Tiny("bloom-tagger", "Bloom", FALCON | {"n_head": 6, "n_layer": 2, "num_labels": 5}, "ForTokenClassification"),
    Tiny("gemma4_text", "Gemma4Text", GEMMA4),
    Tiny("gemma4_text-shared", "Gemma4Text", GEMMA4 | {
        "layer_types": PAIRS, "num_kv_shared_layers": 2, "use_double_wide_mlp": True, "attention_k_eq_v": True,
        "num_global_key_value_heads": 3, "final_logit_softcapping": 9.0, "attention_bias": True,
    }),
    Tiny("gemma3n_text", "Gemma3nText", GEMMA3N),
    Tiny("gemma3n_text-shared", "Gemma3nText", GEMMA3N | {
        "layer_types": PAIRS, "num_kv_shared_layers": 2, "intermediate_size": [52, 52, 53, 54, 55, 56],
        "activation_sparsity_pattern": [0.95, 0.8, 0.0, 0.5, 0.0, 0.0], "altup_num_inputs": 3, "altup_active_idx": 1,
        "altup_correct_scale": False, "attention_bias": True, "tie_word_embeddings": False,
        "final_logit_softcapping": 9.0,
    }),
    Tiny("gemma4_text-plain", "Gemma4Text", GEMMA4 | {
        "layer_types": PAIRS, "hidden_size_per_layer_input": 0, "tie_word_embeddings": False,
    }),
    Tiny("gemma4_text-mixture", "Gemma4Text", GEMMA4 | {
        "layer_types": PAIRS, "enable_moe_block": True, "num_experts": 5, "top_k_experts": 2,
        "moe_intermediate_size": 22, "hidden_size_per_layer_input": 0,
    }),
    Tiny("gemma4_text-both-ways", "Gemma4Text", GEMMA4 | {
        "layer_types": PAIRS, "use_bidirectional_attention": "all", "sliding_window": 6,
    }),
    Tiny("gemma4_text-ten-layers", "Gemma4Text", GEMMA4 | {"num_hidden_layers": 12, "layer_types": PAIRS * 2}),
    Tiny("gemma3_text-both-ways", "Gemma3Text", DEEP | HEAD | WINDOW | {
        "use_bidirectional_attention": True, "sliding_window": 6,
    }),
    Tiny("qwen2-both-ways", "Qwen2", LLAMA | {"is_causal": False}),
    Tiny("llama-both-ways", "Llama", LLAMA | {"is_causal": False}),
    Tiny("mistral-window-both-ways", "Mistral", LLAMA | {"is_causal": False, "sliding_window": 3}),
    Tiny("cohere2-head_dim", "Cohere2", LLAMA | {"head_dim": 8}),
    Tiny("starcoder2-listed", "Starcoder2", LLAMA | {"sliding_window": 3, "layer_types": ["full_attention"] * 3}),
]  # fmt: skip
