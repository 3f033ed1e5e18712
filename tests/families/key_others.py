"""Keys of other classes, which a class ignores unless it reads them from whatever config has them."""

from __future__ import annotations

from typing import Any

from tests.families.key_values import NEAR

# What concerns training, output or other tasks, and never a tensor or a logit of a decoder.
ELSEWHERE = {
    "transformers_version", "architectures", "output_hidden_states", "output_attentions", "return_dict", "dtype",
    "torch_dtype", "id2label", "label2id", "problem_type", "initializer_range", "use_cache", "model_type",
    "output_router_logits", "router_aux_loss_coef", "aux_loss_alpha", "seq_aux", "is_encoder_decoder",
    "chunk_size_feed_forward",
}  # fmt: skip

# Keys that some classes have: those that lack one of them ignore it, or read it from whatever config has it.
OTHERS: dict[str, tuple[Any, ...]] = {
    "is_causal": (False, True),
    "head_dim": (12, 8), "rotary_dim": (2,), "rotary_pct": (0.5,), "partial_rotary_factor": (0.5,),
    "rotary_emb_base": (777,), "rope_theta": (777.0, None), "rope_local_base_freq": (333.0,), "alibi": (True,),
    "rope_scaling": ({"type": "linear", "factor": 4.0}, {"rope_type": "dynamic", "factor": 3.0}, None),
    "rope_parameters": (NEAR, None), "rope_interleave": (True, False), "original_max_position_embeddings": (8,),
    "max_position_embeddings": (16,), "rope_interleaved": (True, False),
    "layer_types": (["sliding_attention"], ["full_attention"], ["full_attention", "sliding_attention"]),
    "sliding_window": (4, None), "use_sliding_window": (True, False), "max_window_layers": (1,),
    "sliding_window_pattern": (2, None), "attention_window_size": (4,), "attention_chunk_size": (4,),
    "no_rope_layers": ([0, 1],), "no_rope_layer_interval": (2,), "use_bidirectional_attention": (True,),
    "attention_bias": (True, False), "mlp_bias": (True, False), "use_bias": (True, False), "qkv_bias": (True, False),
    "bias": (True, False), "use_qkv_bias": (True, False), "attention_out_bias": (True,), "lm_head_bias": (True,),
    "num_key_value_heads": (3, 1, None), "num_kv_heads": (3,), "multi_query": (True, False), "n_inner": (50,),
    "intermediate_size": (51,), "ffn_hidden_size": (51,), "moe_intermediate_size": (13,),
    "hidden_act": ("relu", "gelu"), "hidden_activation": ("relu", None), "activation_function": ("relu",),
    "rms_norm_eps": (0.03,), "layer_norm_eps": (0.03,), "layer_norm_epsilon": (0.03,), "norm_epsilon": (0.03,),
    "norm_eps": (0.03,), "layernorm_epsilon": (0.03,),
    "attn_logit_softcapping": (2.0, None), "final_logit_softcapping": (2.0, None), "logits_soft_cap": (2.0,),
    "query_pre_attn_scalar": (7,), "clip_qkv": (0.3,), "qk_layernorm": (True,), "use_qk_norm": (True, False),
    "logit_scale": (0.3,), "logits_scaling": (3.0,), "embedding_multiplier": (3.0,), "residual_multiplier": (0.3,),
    "attention_multiplier": (0.3,), "scale_attn_weights": (False,), "scale_attn_by_inverse_layer_idx": (True,),
    "norm_topk_prob": (True, False), "routed_scaling_factor": (1.7,), "scoring_func": ("softmax", "sigmoid"),
    "topk_method": ("greedy", "noaux_tc"), "n_group": (1,), "topk_group": (1,), "num_experts_per_tok": (1,),
    "num_experts": (4,), "num_local_experts": (4,), "n_routed_experts": (4,), "first_k_dense_replace": (2, 0),
    "mlp_layer_types": (["dense", "sparse", "dense"], ["sparse"]), "mlp_only_layers": ([1],),
    "decoder_sparse_step": (2,), "moe_layer_freq": (2,), "interleave_moe_layer_step": (2,),
    "n_shared_experts": (1,), "shared_expert_intermediate_size": (13,), "shared_intermediate_size": (13,),
    "use_parallel_residual": (True, False), "parallel_attn": (True, False), "num_nextn_predict_layers": (1,),
    "tie_word_embeddings": (True, False), "hidden_size_per_layer_input": (7,), "num_kv_shared_layers": (1,),
    "mtp_num_hidden_layers": (1,), "attention_layers": (["global", "local"],), "swiglu_limit": (0.2,),
    "mamba_rms_norm": (True,), "conv_bias": (True,), "use_conv_bias": (False,), "pretraining_tp": (2,),
    "add_cross_attention": (False,), "is_decoder": (True, False),
    "layer_norm_elementwise_affine": (False,), "do_layer_norm_before": (False,), "word_embed_proj_dim": (10,),
}  # fmt: skip
