"""The language model of Qwen 3.5. Source: `Qwen3_5TextConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.qwen_delta import APART, DELTA, decoder
from weightscope.families.registry import family

QWEN3_5 = DELTA | {
    "vocab_size": 248320,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
}


@family("qwen3_5_text", roots=("model", "", "model.language_model"), defaults=QWEN3_5)
def qwen3_5_text(config: Config, root: str) -> CausalLM:
    """The last root is that within a vision-language model."""
    mlp = gated_mlp(config, "mlp")
    return decoder(config, root, APART, lambda _: mlp)
