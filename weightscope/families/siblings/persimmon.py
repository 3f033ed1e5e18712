"""Keys of Persimmon's config class, which a flat Fuyu config has too."""

from weightscope.families.common import ROTARY

PERSIMMON = ROTARY | {
    "vocab_size": 262144, "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 36,
    "num_attention_heads": 64, "hidden_act": "relu2", "max_position_embeddings": 16384, "layer_norm_eps": 1e-5,
    "qk_layernorm": True, "partial_rotary_factor": 0.5,
}  # fmt: skip
