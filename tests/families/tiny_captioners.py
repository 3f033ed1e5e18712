"""Tiny models that describe images: BLIP with each of its heads, GIT, Kosmos-2, Pix2Struct, Florence-2."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

WHOLE = "ForConditionalGeneration"
BLIP_TEXT: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 3,
    "max_position_embeddings": 37, "bos_token_id": 98, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 97,
}  # fmt: skip
BLIP: dict[str, Any] = {
    "text_config": BLIP_TEXT,
    "vision_config": {
        "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
        "patch_size": 7,
    },
    "image_text_hidden_size": 11,
}  # fmt: skip
# An answer looks at a question, which must be as wide as an image is to the text.
EVEN: dict[str, Any] = BLIP | {"text_config": BLIP_TEXT | {"hidden_size": 20, "num_attention_heads": 5}}
KOSMOS: dict[str, Any] = {
    "text_config": {
        "vocab_size": 1100, "embed_dim": 24, "layers": 2, "ffn_dim": 52, "attention_heads": 3,
        "max_position_embeddings": 41,
    },
    "vision_config": {
        "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
        "patch_size": 7,
    },
    "latent_query_num": 5,
}  # fmt: skip
BART: dict[str, Any] = {
    "model_type": "bart", "vocab_size": 101, "d_model": 24, "encoder_layers": 2, "decoder_layers": 1,
    "encoder_ffn_dim": 52, "decoder_ffn_dim": 44, "encoder_attention_heads": 3, "decoder_attention_heads": 4,
    "max_position_embeddings": 57,
}  # fmt: skip
FLORENCE: dict[str, Any] = {
    "text_config": BART,
    "vision_config": {
        "depths": [1, 2], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
        "patch_prenorm": [False, True], "embed_dim": [12, 18], "num_heads": [2, 3], "num_groups": [3, 6],
        "window_size": 3, "projection_dim": 24, "max_temporal_embeddings": 4, "max_position_embeddings": 9,
    },
    "image_token_id": 99,
}  # fmt: skip
GIT: dict[str, Any] = {
    "vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 52,
    "max_position_embeddings": 37, "bos_token_id": 98, "eos_token_id": 97, "vision_config": KOSMOS["vision_config"],
}  # fmt: skip
PIX2STRUCT: dict[str, Any] = {
    "text_config": {
        "vocab_size": 101, "hidden_size": 24, "d_kv": 8, "d_ff": 52, "num_layers": 2, "num_heads": 3,
        "relative_attention_num_buckets": 7, "relative_attention_max_distance": 9,
    },
    "vision_config": {
        "hidden_size": 24, "patch_embed_hidden_size": 27, "d_ff": 44, "d_kv": 6, "num_hidden_layers": 2,
        "num_attention_heads": 4, "seq_len": 13,
    },
}  # fmt: skip
TINY_CAPTIONERS = [
    Tiny("blip", "Blip", BLIP, WHOLE),
    Tiny("blip-untied", "Blip", BLIP | {
        "tie_word_embeddings": False, "text_config": BLIP_TEXT | {"tie_word_embeddings": False},
    }, WHOLE),
    Tiny("blip-answers", "Blip", EVEN, "ForQuestionAnswering"),
    Tiny("blip-matches", "Blip", BLIP, "ForImageTextRetrieval"),
    Tiny("git", "Git", GIT),
    Tiny("git-tied-frames", "Git", GIT | {"tie_word_embeddings": True, "num_image_with_embedding": 3}),
    Tiny("git-base", "Git", GIT, "Model"),
    Tiny("kosmos-2", "Kosmos2", KOSMOS, WHOLE),
    Tiny("kosmos-2-untied", "Kosmos2", KOSMOS | {
        "tie_word_embeddings": False,
        "text_config": KOSMOS["text_config"] | {"tie_word_embeddings": False, "scale_embedding": False},
    }, WHOLE),
    Tiny("kosmos-2-base", "Kosmos2", KOSMOS, "Model"),
    Tiny("pix2struct", "Pix2Struct", PIX2STRUCT, WHOLE),
    Tiny("pix2struct-tied", "Pix2Struct", PIX2STRUCT | {"tie_word_embeddings": True}, WHOLE),
    Tiny("florence2", "Florence2", FLORENCE, WHOLE),
    Tiny("florence2-untied-no-bias", "Florence2", FLORENCE | {
        "tie_word_embeddings": False, "text_config": BART | {"scale_embedding": True},
        "vision_config": FLORENCE["vision_config"] | {"qkv_bias": False, "mlp_ratio": 2.5},
    }, WHOLE),
]  # fmt: skip
