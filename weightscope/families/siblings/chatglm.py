"""The keys of ChatGLM2 and what came after it, and those that tell other models of the same type."""

from __future__ import annotations

from typing import Any

from weightscope.config import Nullable
from weightscope.families.common import DECODER

CHATGLM = DECODER | {
    "padded_vocab_size": 65024, "hidden_size": 4096, "num_layers": 28, "num_attention_heads": 32, "kv_channels": 128,
    "ffn_hidden_size": 13696, "layernorm_epsilon": 1e-5, "rmsnorm": True, "post_layer_norm": True,
    "add_bias_linear": False, "add_qkv_bias": False, "multi_query_attention": False, "multi_query_group_num": 1,
    "rope_ratio": Nullable(float, 1), "interleaved_qkv": False, "apply_residual_connection_post_layernorm": False,
}  # fmt: skip
# What ChatGLM-6B and GLM-4V have under the same type, and what adds tensors.
CHATGLM_OTHERS: dict[str, Any] = {
    "inner_hidden_size": Nullable(int), "position_encoding_2d": False, "vision_config": Nullable(dict),
    "pre_seq_len": Nullable(int), "quantization_bit": Nullable(int),
}  # fmt: skip
