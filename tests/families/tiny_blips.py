"""Tiny models of BLIP-2 and InstructBLIP: a Q-Former before OPT or Llama."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import LLAMA, Tiny

WHOLE = "ForConditionalGeneration"
VISION = {
    "hidden_size": 20, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
    "patch_size": 7,
}  # fmt: skip
QFORMER = {
    "vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 36,
    "max_position_embeddings": 19, "cross_attention_frequency": 2,
}  # fmt: skip
OPT: dict[str, Any] = {
    "model_type": "opt", "vocab_size": 101, "hidden_size": 24, "word_embed_proj_dim": 24, "num_hidden_layers": 2,
    "num_attention_heads": 3, "ffn_dim": 52, "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 2,
    "pad_token_id": 1,
}  # fmt: skip
PARTS = {"vision_config": VISION, "qformer_config": QFORMER, "image_token_index": 99, "num_query_tokens": 5}
TINY_BLIPS = [
    Tiny("blip-2", "Blip2", PARTS | {"text_config": OPT}, WHOLE),
    Tiny("blip-2-llama-text-rows", "Blip2", PARTS | {
        "text_config": LLAMA | {"model_type": "llama"}, "vision_config": VISION | {"qkv_bias": False},
        "qformer_config": QFORMER | {"use_qformer_text_input": True, "cross_attention_frequency": 1},
    }, WHOLE),
    Tiny("instructblip", "InstructBlip", PARTS | {"text_config": LLAMA | {"model_type": "llama"}}, WHOLE),
]  # fmt: skip
