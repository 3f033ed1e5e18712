"""Molmo (Ai2 2024, arXiv 2409.17146): CLIP's tower, patches pooled by attention, Qwen2's layers.

Source: `MolmoConfig` of allenai/Molmo-7B-D-0924. Names, shapes and counts only.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Output, causal_lm, rms_norms
from weightscope.families.common.refusals import refuse, require
from weightscope.families.registry import family
from weightscope.families.siblings.molmo import block, clip, embedding, padded_bridge
from weightscope.roles import Role

MOLMO: dict[str, Any] = ROTARY | {
    "vocab_size": 50304, "embedding_size": Nullable(int), "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": Nullable(int), "layer_norm_eps": 1e-5,
    "qkv_bias": False, "attention_layer_norm": False, "layer_norm_type": "rms", "weight_tying": False,
    "moe_num_experts": Nullable(int),
}  # fmt: skip
ROOT = "model.transformer"


@family("molmo", roots=(ROOT,), defaults=MOLMO)
def molmo(config: Config, root: str) -> CausalLM:
    """No config says anything of the tower, which is the same in all of them."""
    refuse(config, "Molmo", ("attention_layer_norm", "weight_tying", "moe_num_experts"))
    require(config, "Molmo", {"layer_norm_type": "rms"})
    if config["embedding_size"] not in (None, config["vocab_size"]):
        raise config.undeclared("Molmo with another embedding_size than its vocab_size is not declared")
    layer, encoder = block(config), clip(config)
    return causal_lm(
        config,
        root,
        lambda _: layer,
        final_norm=rms_norms(config["layer_norm_eps"])("ln_f", Role.FINAL_NORM, config["hidden_size"]),
        embedding=embedding(config),
        layers="blocks",
        output=Output(name=f"{root}.ff_out", tied=False),
        extras=(encoder, padded_bridge(config, encoder)),
        refused="Molmo, whose maths only its own code has",
    )
