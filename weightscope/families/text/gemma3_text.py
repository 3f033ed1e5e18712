"""Gemma 3 (arXiv 2503.19786): head norms, and two rotations. Source: `Gemma3TextConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.gemma_like import between_norms
from weightscope.families.common.parts import pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.families.text.gemma import GEMMA2

GEMMA3 = GEMMA2 | {
    "vocab_size": 262208,
    "num_key_value_heads": 4,
    "max_position_embeddings": 131072,
    "query_pre_attn_scalar": 256,
    "final_logit_softcapping": Nullable(float),
    "sliding_window_pattern": 6,
    "use_bidirectional_attention": False,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
}


@family("gemma3_text", roots=("model", ""), defaults=GEMMA3)
def gemma3_text(config: Config, root: str) -> CausalLM:
    """Five layers with a window and a rotation of their own, then one without; queries and keys are normed by head."""
    if config["use_bidirectional_attention"]:
        raise UndeclaredError("Gemma 3 with use_bidirectional_attention is not declared", where=config.source)
    near = rotary(config, config["head_dim"], layers="sliding_attention")
    far = rotary(config, config["head_dim"], layers="full_attention")
    return between_norms(
        config,
        root,
        config["hidden_activation"],
        head_norms=True,
        slides=pattern(config, 6),
        ropes=lambda _, window: far if window is None else near,
    )
