"""EXAONE 4.0 (arXiv 2507.11407): norms after each half, no rotation without a window. Source: `Exaone4Config`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family

EXAONE4 = LLAMA | {
    "vocab_size": 102400,
    "intermediate_size": 16384,
    "num_key_value_heads": 32,
    "rms_norm_eps": 1e-5,
    "sliding_window": Nullable(int, 4096),
}


@family("exaone4", roots=("model", ""), defaults=EXAONE4)
def exaone4(config: Config, root: str) -> CausalLM:
    """Each head's query and key are normed; one layer in four sees everything."""
    rope = rotary(config, config["head_dim"] or config["hidden_size"] // config["num_attention_heads"])
    always = config["sliding_window"] is None
    return decoder(
        config,
        root,
        head_norms=True,
        norm_names=(None, None),
        out_norm_names=("post_attention_layernorm", "post_feedforward_layernorm"),
        slides=pattern(config, 4),
        ropes=lambda _, window: rope if always or window is not None else None,
    )
