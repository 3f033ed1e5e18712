"""InternLM2 (arXiv 2403.17297): Llama with q, k, v fused per key/value head, under Llama's original names.

Source: `InternLM2Config`, published with its code.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.layout import Names, attention, sequential
from weightscope.families.common.parts import gated_mlp, head
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

INTERNLM2: dict[str, Any] = {
    "vocab_size": 103168,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int),
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "bias": True,
    "tie_word_embeddings": False,
}
NAMES = Names(embedding="tok_embeddings", layers="layers", final_norm="norm", norms=("attention_norm", "ffn_norm"))


@family("internlm2", roots=("model", ""), defaults=INTERNLM2)
def internlm2(config: Config, root: str) -> CausalLM:
    """Rows of `wqkv` are, for each key/value head, its queries, its key, its value."""
    width, heads, bias = config["hidden_size"], config["num_attention_heads"], config["bias"]
    kv_heads, rope = config["num_key_value_heads"] or heads, rotary(config, width // heads)
    return sequential(
        config,
        root,
        NAMES,
        width=width,
        eps=config["rms_norm_eps"],
        attention=attention(
            "attention",
            Linear("wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=kv_heads),
            Linear("wo", Role.O_PROJ, bias=bias),
            rope.table("rotary_emb.inv_freq"),
            width=width,
            heads=heads,
            kv_heads=kv_heads,
            rope=rope,
        ),
        feed_forward=gated_mlp(config, "feed_forward", names=("w1", "w3", "w2")),
        head=head(config, root, name="output"),
    )
