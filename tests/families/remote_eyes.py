"""Vision-language models published with code of their own, rewritten from types of transformers with the same maths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.families.remote_code import INTERNLM2, Remote, State, fused, internlm2, of, renamed, same
from tests.families.tiny import DEEPSEEK, LLAMA, Tiny
from tests.families.tiny_mistral import IDS, INTERN, MOON, QWEN2, WHOLE
from tests.families.tiny_mixed_eyes import ERNIE_IDS, ERNIE_TEXT, ERNIE_TOWER

LANGUAGE = "language_model."
CHAT: dict[str, Any] = {
    "downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1, "force_image_size": 28,
    "img_context_token_id": 95, "architectures": ["InternVLChatModel"],
}  # fmt: skip
SIDES = {"model_type": "intern_vit_6b", "image_size": 28, "patch_size": 7}
NORMED = {"use_qk_norm": True, "norm_type": "rms_norm"}


def around(state: State, rewrite: Callable[[State], State]) -> tuple[State, State]:
    """The language model rewritten, and all else."""
    language = {name.removeprefix(LANGUAGE): t for name, t in state.items() if name.startswith(LANGUAGE)}
    others = {name: tensor for name, tensor in state.items() if not name.startswith(LANGUAGE)}
    return {f"{LANGUAGE}{name}": tensor for name, tensor in rewrite(language).items()}, others


def internvl_chat(state: State, rewrite: Callable[[State], State] = same) -> State:
    """OpenGVLab's names; queries, keys and values are one matrix."""
    language, others = around(state, rewrite)
    return language | renamed(
        fused(others, "qkv", ("q_proj", "k_proj", "v_proj")),
        ("^vision_tower", "vision_model"), ("cls_token", "class_embedding"),
        ("position_embeddings", "position_embedding"), (r"patch_embeddings\.projection", "patch_embedding"),
        (r"encoder\.layer\.", "encoder.layers."), (r"\.attention\.", ".attn."), ("projection_layer", "proj"),
        ("lambda_", "ls"), ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
        (r"^multi_modal_projector\.layer_norm", "mlp1.0"), (r"^multi_modal_projector\.linear_1", "mlp1.1"),
        (r"^multi_modal_projector\.linear_2", "mlp1.3"),
    )  # fmt: skip


def kimi_vl(state: State) -> State:
    """Moonshot's own names; 5.23 writes some of them otherwise."""
    return renamed(
        state,
        (r"^language_model\.model\.blocks", "language_model.model.layers"),
        (r"^vision_tower\.encoder\.patch_embed", "vision_tower.patch_embed"),
        (r"^model\.mm_projector\.pre_norm", "multi_modal_projector.pre_norm"),
        (r"^mm_projector\.proj\.0", "multi_modal_projector.linear_1"),
        (r"^mm_projector\.proj\.2", "multi_modal_projector.linear_2"),
    )  # fmt: skip


def ernie_vl(state: State) -> State:
    """Baidu's names."""
    return renamed(state, (r"^model\.vision_model", "vision_model"))


def eyed(kind: str, text: dict[str, Any], tower: dict[str, Any], **others: Any) -> Tiny:
    """A model of transformers with these parts, not tied."""
    made = of(kind, {"text_config": text, "vision_config": tower, "tie_word_embeddings": False} | others)
    return Tiny("", kind, made.keys, WHOLE)


ERNIE_FLAT: dict[str, Any] = {key: value for key, value in ERNIE_TEXT.items() if key != "rope_parameters"} | {
    "im_patch_id": 95, "image_start_token_id": 97, "image_end_token_id": 98, "rope_theta": 1e4, "freq_allocation": 2,
    "moe_num_experts": [5, 5], "moe_layer_start_index": [1, 1], "moe_layer_end_index": [29, 1], "moe_layer_interval": 1,
    "spatial_conv_size": 2, "temporal_conv_size": 2, "architectures": ["Ernie4_5_VLMoeForConditionalGeneration"],
    "vision_config": {
        "model_type": "DFNRope_vision_transformer", "depth": 1, "embed_dim": 16, "hidden_size": 16, "mlp_ratio": 2,
        "num_heads": 2, "in_channels": 3, "patch_size": 4, "spatial_merge_size": 2, "hidden_act": "quick_gelu",
    },
}  # fmt: skip
TOWER = {key: value for key, value in INTERN.items() if key not in ("image_size", "patch_size")}
VISION = {key: value for key, value in MOON.items() if not key.startswith("pos_emb")}
REMOTE_EYES = [
    Remote("internvl_chat", "internvl_chat",
        eyed("InternVL", QWEN2, INTERN | {"attention_bias": True}, image_token_id=95), internvl_chat, CHAT | {
            "llm_config": QWEN2 | {"rms_norm_eps": 1e-6, "tie_word_embeddings": False},
            "vision_config": TOWER | SIDES | {"norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False},
        }),
    Remote("internvl_chat-internlm2-norms", "internvl_chat",
        eyed("InternVL", LLAMA | {"model_type": "llama", "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e6,
        }}, INTERN | NORMED, image_token_id=95), lambda state: internvl_chat(state, internlm2), CHAT | {
            "llm_config": INTERNLM2 | {"model_type": "internlm2"}, "force_image_size": None,
            "vision_config": TOWER | SIDES | {"norm_type": "rms_norm", "qkv_bias": False, "qk_normalization": True},
        }),
    Remote("kimi_vl", "kimi_vl",
        eyed("Kimi_K25", DEEPSEEK | {"model_type": "deepseek_v3"}, MOON, projection_hidden_size=16, **IDS), kimi_vl, {
            "text_config": DEEPSEEK | {"model_type": "deepseek_v3", "num_nextn_predict_layers": 0},
            "vision_config": VISION | {
                "model_type": "moonvit", "init_pos_emb_height": 6, "init_pos_emb_width": 6, "merge_kernel_size": [2, 2],
            },
            "media_placeholder_token_id": 95, "architectures": ["KimiVLForConditionalGeneration"],
        }),
    Remote("ernie4_5_moe_vl", "ernie4_5_moe_vl",
        Tiny("", "Ernie4_5_VLMoe", ERNIE_IDS | {"text_config": ERNIE_TEXT, "vision_config": ERNIE_TOWER}, WHOLE),
        ernie_vl, ERNIE_FLAT),
]  # fmt: skip
# Towers alone, which take no tokens.
REMOTE_TOWERS = [
    Remote("intern_vit_6b", "intern_vit_6b", Tiny("", "InternVLVision", INTERN | {"attention_bias": True}, "Model"),
        lambda state: renamed(
            internvl_chat({f"vision_tower.{name}": tensor for name, tensor in state.items()}), ("^vision_model.", "")
        ),
        TOWER | SIDES | {"norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False}),
]  # fmt: skip
# Types whose maths transformers has under no name: how many published indexes they are held against, in
# test_published.py or, where a config lies beside another model's index, in test_published_eyes.py.
BY_INDEX = {"locateanything": 0, "minicpmv": 1, "molmo": 0}
# Types held against transformers' model of their full size, without values, under the published names.
WHOLE_SIZE = {"phi4mm": "tests/families/test_phi4mm.py"}
# Types whose logits are held against parts of others, joined in a test of their own.
BY_OTHERS = {
    "phi4mm": "1 tiny as `phi4_multimodal`",
    "minicpmv": "1 tiny of `idefics2`'s tower, torch's attention and `qwen2`",
}
