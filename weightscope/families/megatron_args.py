"""The settings of a Megatron-LM run, as its checkpoints keep them, said in the keys of `megatron_gpt`.

Source: Megatron-LM `megatron/training/arguments.py` and `megatron/core/transformer/transformer_config.py` for the
settings, `megatron/core/fusions/fused_bias_gelu.py` for the activation that fusing makes of GELU.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from weightscope.config import Config

# The word embedding of Megatron-Core's GPTs, and a norm that Transformer Engine keeps beside a matrix.
EMBEDDING = "embedding.word_embeddings.weight"
_WITHIN = "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight"
_SAME = {
    "num_layers": "num_hidden_layers", "hidden_size": "hidden_size", "num_attention_heads": "num_attention_heads",
    "kv_channels": "head_dim", "normalization": "normalization", "max_position_embeddings": "max_position_embeddings",
    "rotary_percent": "partial_rotary_factor", "rotary_interleaved": "rotary_interleaved",
    "qk_layernorm": "qk_layernorm", "num_experts": "num_local_experts", "moe_router_topk": "num_experts_per_tok",
    "norm_epsilon": "norm_eps", "layernorm_epsilon": "norm_eps", "add_bias_linear": "attention_bias",
}  # fmt: skip
# Settings that change what is stored or computed -> the values, beside null and false, that are declared.
_DECLARED: dict[str, tuple[object, ...]] = {
    "position_embedding_type": ("rope", "learned_absolute"), "normalization": ("LayerNorm", "RMSNorm"),
    "rotary_seq_len_interpolation_factor": (1,), "no_rope_freq": (), "window_size": (), "softmax_type": ("vanilla",),
    "multi_latent_attention": (), "attention_output_gate": (), "experimental_attention_variant": (), "qk_l2_norm": (),
    "apply_residual_connection_post_layernorm": (), "quick_geglu": (), "activation_func_clamp_value": (),
    "hybrid_layer_pattern": (), "hybrid_override_pattern": (), "hybrid_attention_ratio": (0,), "is_hybrid_model": (),
    "heterogeneous_layers_config_path": (), "spec": (), "mtp_num_layers": (0,),
}  # fmt: skip
_DECLARED_OF_MIXTURES: dict[str, tuple[object, ...]] = {
    "moe_layer_freq": (1,), "moe_shared_expert_intermediate_size": (0,), "moe_router_score_function": ("softmax",),
    "moe_router_load_balancing_type": ("aux_loss", "seq_aux_loss", "global_aux_loss", "none"),
    "moe_router_num_groups": (1,), "moe_router_enable_expert_bias": (), "moe_router_topk_scaling_factor": (),
    "moe_grouped_gemm": (),
}  # fmt: skip
# What tells a model's sizes.
_SIZES = ("num_layers", "hidden_size", "num_attention_heads", "ffn_hidden_size")


def has_sizes(args: Mapping[str, Any]) -> bool:
    """Whether settings tell the sizes of the model."""
    return all(type(args.get(key)) is int for key in _SIZES)


def as_config(args: Mapping[str, Any], names: AbstractSet[str], rows: int | None, source: Path) -> Config:
    """The config of a run by its settings; `names` are those of the tensors, `rows` the embedding's.

    Raises:
        UndeclaredError: a setting that no declaration has, or the names of another model.
    """
    said, mixture = Config(args, source=source), args.get("num_experts") is not None
    if EMBEDDING not in names:
        raise said.undeclared("models of Megatron-LM other than Megatron-Core's GPTs are not declared")
    for key, declared in (_DECLARED | (_DECLARED_OF_MIXTURES if mixture else {})).items():
        value = args.get(key)
        if value is not None and value is not False and value not in declared:
            raise said.undeclared(f"{key} {value!r:.60} of Megatron-LM is not declared")
    data: dict[str, Any] = {"model_type": "megatron_gpt", "vocab_size": rows}
    data |= {ours: args[theirs] for theirs, ours in _SAME.items() if args.get(theirs) is not None}
    data |= _matrices(args, mixture=mixture) | _positions(args)
    data["num_key_value_heads"] = args.get("num_query_groups") if args.get("group_query_attention") else None
    data["norm_offset"] = 1.0 if args.get("apply_layernorm_1p") else 0.0
    data["norms_in_matrices"] = _WITHIN in names
    data["tie_word_embeddings"] = not args.get("untie_embeddings_and_output_weights")
    return Config(data, source=source)


def _matrices(args: Mapping[str, Any], *, mixture: bool) -> dict[str, Any]:
    """Widths, biases and the activation."""
    biases = bool(args.get("add_bias_linear"))
    inner = (args.get("moe_ffn_hidden_size") if mixture else None) or args.get("ffn_hidden_size")
    return {
        "intermediate_size": inner,
        "qkv_bias": biases or bool(args.get("add_qkv_bias")),
        "mlp_bias": biases,
        "gated": bool(args.get("swiglu")),
        "hidden_act": _activation(args, biases=biases),
        "norm_topk_prob": not args.get("moe_router_pre_softmax"),
    }


def _activation(args: Mapping[str, Any], *, biases: bool) -> str:
    if args.get("swiglu"):
        return "silu"
    if args.get("squared_relu"):
        return "relu2"
    # Fused with the bias, it is the approximation by tanh.
    fused = biases and args.get("bias_gelu_fusion")
    return "gelu_pytorch_tanh" if fused or args.get("openai_gelu") else "gelu"


def _positions(args: Mapping[str, Any]) -> dict[str, Any]:
    """The rotation, with the scaling of Llama 3.1 where that is asked for, or learned positions."""
    if args.get("position_embedding_type") != "rope":
        return {"learned_positions": True}
    scaling = {
        "rope_type": "llama3", "factor": args.get("rope_scaling_factor") or 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    }  # fmt: skip
    return {
        "rope_theta": args.get("rotary_base") or 10000.0,
        "rope_scaling": scaling if args.get("use_rope_scaling") else None,
    }
