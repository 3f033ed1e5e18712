"""Mixtures of experts."""

from __future__ import annotations

from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.dense import AFTER_ATTENTION, PAIRED, biased, multipliers, usual
from weightscope.gguf.keys import Keys
from weightscope.gguf.rotation import rotation, rotation_by_axes, scaling

# llama.cpp's number of the function that makes scores of the router's numbers.
SIGMOID = 2


def experts(keys: Keys) -> Settings:
    """How many experts there are, and how many a token uses."""
    return {"num_experts_per_tok": keys.whole("expert_used_count"), "num_local_experts": keys.whole("expert_count")}


def _mixtral(keys: Keys) -> Settings:
    return usual(keys) | experts(keys)


def _qwen2_moe(keys: Keys) -> Settings:
    return usual(keys) | {
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "shared_expert_intermediate_size": keys.whole("expert_shared_feed_forward_length"),
        "qkv_bias": keys.biased,
    }


def _olmoe(keys: Keys) -> Settings:
    return usual(keys) | {
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "clip_qkv": keys.number("attention.clamp_kqv"),
        "norm_topk_prob": False,
    }


def _qwen3_moe(keys: Keys) -> Settings:
    # llama.cpp makes the weights add up to 1, as all published models say.
    return usual(keys) | {
        "num_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "norm_topk_prob": True,
        "attention_bias": keys.biased,
    }


def _qwen3_vl_moe(keys: Keys) -> Settings:
    return _qwen3_moe(keys) | rotation_by_axes(keys)


def _gpt_oss(keys: Keys) -> Settings:
    turned = rotation(keys, share=False)
    scaled = turned["rope_scaling"] or {"rope_type": "default"}
    # The config has it, and the file does not: both ends of YaRN's ramp are not rounded.
    truncated = {"truncate": False} if scaled["rope_type"] == "yarn" else {}
    return (
        usual(keys)
        | experts(keys)
        | {
            "intermediate_size": keys.whole("expert_feed_forward_length"),
            "sliding_window": keys.whole("attention.sliding_window"),
            "attention_bias": keys.biased,
            "rope_scaling": None,
            "rope_parameters": scaled | truncated | {"rope_theta": turned["rope_theta"]},
        }
    )


def scores_by_sigmoid(keys: Keys) -> bool:
    """DeepSeek-V3 and what is made like it, as against DeepSeek-V2, whose router has no correction either."""
    first = keys.whole("leading_dense_block_count") or 0
    return keys.whole("expert_gating_func") == SIGMOID or f"blk.{first}.exp_probs_b.bias" in keys.names


def _latent(keys: Keys) -> Settings:
    turned = keys.needed("rope.dimension_count")
    key = keys.whole("attention.key_length_mla") or keys.needed("attention.key_length")
    return {
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "num_key_value_heads": keys.whole("attention.head_count"),
        "q_lora_rank": keys.whole("attention.q_lora_rank"),
        "kv_lora_rank": keys.needed("attention.kv_lora_rank"),
        "qk_rope_head_dim": turned,
        "qk_nope_head_dim": key - turned,
        "v_head_dim": keys.whole("attention.value_length_mla") or keys.needed("attention.value_length"),
        "rope_theta": rotation(keys, share=False)["rope_theta"],
        "rope_scaling": _yarn(keys),
    }


def _yarn(keys: Keys) -> Settings | None:
    """YaRN with DeepSeek's `mscale`, of which the file has a tenth."""
    scaled, tenth = scaling(keys), keys.number("rope.scaling.yarn_log_multiplier")
    if scaled is None or tenth is None:
        return scaled
    scale = round(10 * tenth, 6)
    return scaled | {"mscale": scale, "mscale_all_dim": scale}


def shared_experts(keys: Keys) -> Settings:
    """A mixture as in DeepSeek-V3."""
    return {
        "n_routed_experts": keys.whole("expert_count"),
        "num_experts_per_tok": keys.whole("expert_used_count"),
        "n_shared_experts": keys.whole("expert_shared_count") or 0,
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "first_k_dense_replace": keys.whole("leading_dense_block_count") or 0,
        "routed_scaling_factor": keys.number("expert_weights_scale") or 1.0,
        "norm_topk_prob": bool(keys.flag("expert_weights_norm")),
        "n_group": keys.whole("expert_group_count") or 1,
        "topk_group": keys.whole("expert_group_used_count") or 1,
    }


def ahead(keys: Keys) -> dict[str, int]:
    """The layers that predict further tokens, which the file counts among all of them."""
    count = keys.whole("nextn_predict_layers") or 0
    return {"num_hidden_layers": keys.needed("block_count") - count, "num_nextn_predict_layers": count}


def _deepseek_v2(keys: Keys) -> Settings:
    shared = shared_experts(keys)
    grouped = {"topk_method": "group_limited_greedy" if shared["n_group"] != 1 else "greedy"}
    return _latent(keys) | shared | grouped


def _deepseek_v3(keys: Keys) -> Settings:
    return _latent(keys) | shared_experts(keys) | ahead(keys)


def _glm4_moe(keys: Keys) -> Settings:
    return (
        usual(keys)
        | shared_experts(keys)
        | {
            **ahead(keys),
            "attention_bias": keys.biased,
            "use_qk_norm": "blk.0.attn_q_norm.weight" in keys.names,
        }
    )


def _granite_moe(keys: Keys) -> Settings:
    shared = keys.whole("expert_shared_feed_forward_length")
    return usual(keys) | biased(keys) | multipliers(keys) | experts(keys) | {"shared_intermediate_size": shared or 0}


def _ernie_moe(keys: Keys) -> Settings:
    first = keys.whole("leading_dense_block_count") or 0
    return usual(keys) | {
        "use_bias": keys.biased,
        "moe_num_experts": keys.whole("expert_count"),
        "moe_k": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
        "moe_num_shared_experts": keys.whole("expert_shared_count") or 0,
        "moe_layer_start_index": first,
        "moe_layer_end_index": keys.depth - 1,
        "moe_layer_interval": keys.whole("interleave_moe_layer_step") or 1,
    }


def _hunyuan_moe(keys: Keys) -> Settings:
    return usual(keys) | {
        "attention_bias": keys.biased,
        "intermediate_size": keys.whole("expert_feed_forward_length"),
        "num_experts": keys.whole("expert_count"),
        "moe_topk": keys.whole("expert_used_count"),
    }


def _dots1(keys: Keys) -> Settings:
    return usual(keys) | biased(keys) | shared_experts(keys) | {"sliding_window": None}


def _minimax_m2(keys: Keys) -> Settings:
    turned = keys.whole("rope.dimension_count")
    return (
        usual(keys)
        | experts(keys)
        | {
            "intermediate_size": keys.whole("expert_feed_forward_length"),
            "partial_rotary_factor": None,
            "rotary_dim": turned,
        }
    )


def _phimoe(keys: Keys) -> Settings:
    return (
        usual(keys)
        | experts(keys)
        | {
            "sliding_window": keys.whole("attention.sliding_window") or None,
            "original_max_position_embeddings": keys.whole("rope.scaling.original_context_length"),
            "attention_bias": keys.biased,
            "lm_head_bias": "output.bias" in keys.names,
        }
    )


MIXTRAL = Architecture(model_type="mixtral", settings=_mixtral, changes=PAIRED)
QWEN2_MOE = Architecture(model_type="qwen2_moe", settings=_qwen2_moe)
QWEN3_MOE = Architecture(model_type="qwen3_moe", settings=_qwen3_moe)
QWEN3_VL_MOE = Architecture(model_type="qwen3_vl_moe_text", settings=_qwen3_vl_moe)
OLMOE = Architecture(model_type="olmoe", settings=_olmoe)
GPT_OSS = Architecture(model_type="gpt_oss", settings=_gpt_oss, names=AFTER_ATTENTION)
DEEPSEEK_V2 = Architecture(model_type="deepseek_v2", settings=_deepseek_v2)
DEEPSEEK_V3 = Architecture(model_type="deepseek_v3", settings=_deepseek_v3)
GLM4_MOE = Architecture(model_type="glm4_moe", settings=_glm4_moe, names=AFTER_ATTENTION)
GRANITE_MOE = Architecture(model_type="granitemoeshared", settings=_granite_moe, changes=PAIRED)
ERNIE_MOE = Architecture(model_type="ernie4_5_moe", settings=_ernie_moe)
HUNYUAN_MOE = Architecture(model_type="hunyuan_v1_moe", settings=_hunyuan_moe)
DOTS1 = Architecture(model_type="dots1", settings=_dots1)
MINIMAX_M2 = Architecture(model_type="minimax_m2", settings=_minimax_m2)
PHIMOE = Architecture(model_type="phimoe", settings=_phimoe)
