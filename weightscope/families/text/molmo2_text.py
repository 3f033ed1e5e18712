"""Molmo 2's language model (Ai2 2025): Qwen3's or OLMo's layers with a few tokens more. Source: `Molmo2TextConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, rms_norms
from weightscope.families.common.causal_lm import Output
from weightscope.families.registry import family
from weightscope.families.siblings.molmo2_text import ROOTS, blocks, embedding
from weightscope.roles import Role

MOLMO2_TEXT = ROTARY | {
    "vocab_size": 151936, "additional_vocab_size": 128, "hidden_size": 4096, "intermediate_size": 12288,
    "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "attention_bias": False, "qk_norm_type": "qwen3", "hidden_act": "silu", "max_position_embeddings": 36864,
    "rope_theta": 10000.0, "rope_scaling_layers": Nullable(list), "rms_norm_eps": 1e-6, "norm_after": False,
}  # fmt: skip
NAMES = {"qkv_bias": "attention_bias", "layer_norm_eps": "rms_norm_eps"}


@family("molmo2_text", roots=tuple(ROOTS), defaults=MOLMO2_TEXT, attribute_map=NAMES)
def molmo2_text(config: Config, root: str) -> CausalLM:
    """The head scores the vocabulary without the added tokens, and is never tied."""
    spelling, layers = ROOTS[root], blocks(config, ROOTS[root])
    return causal_lm(
        config,
        spelling.prefix,
        layers.__getitem__,
        final_norm=rms_norms(config["rms_norm_eps"])(spelling.norm, Role.FINAL_NORM, config["hidden_size"]),
        embedding=embedding(config, spelling),
        layers=spelling.layers,
        output=Output(tied=False),
    )
