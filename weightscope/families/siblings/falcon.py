"""The keys of Falcon, and of the first releases of it under other types."""

from __future__ import annotations

from weightscope.config import Nullable
from weightscope.families.common import ROTARY

FALCON = ROTARY | {
    "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
    "num_kv_heads": Nullable(int), "num_ln_in_parallel_attn": Nullable(int), "ffn_hidden_size": Nullable(int),
    "layer_norm_epsilon": 1e-5, "activation": "gelu", "alibi": False, "new_decoder_architecture": False,
    "multi_query": True, "parallel_attn": True, "bias": False, "tie_word_embeddings": True,
}  # fmt: skip
# Falcon as first published: RefinedWeb is 40B, RefinedWebModel 7B and 1B.
RW = FALCON | {
    "vocab_size": 250880, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
    "new_decoder_architecture": True,
}  # fmt: skip
RW_MODEL = RW | {"new_decoder_architecture": False, "multi_query": False, "parallel_attn": False}
