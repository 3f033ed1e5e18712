"""StableLM as Stability first published it, with code of its own. Source: `StableLMEpochConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.rope import Rope
from weightscope.config import Config, Nullable
from weightscope.families.common.layout import Names, attention, refuse, require, stacked
from weightscope.families.common.parts import four_projections, gated_mlp, head
from weightscope.families.registry import family

STABLELM_EPOCH: dict[str, Any] = {
    "vocab_size": 50304,
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int, 32),
    "partial_rotary_factor": 0.25,
    "rope_theta": 10000.0,
    "rotary_scaling_factor": 1.0,
    "max_position_embeddings": 4096,
    "norm_eps": 1e-5,
    "use_qkv_bias": False,
    "tie_word_embeddings": False,
}
NAMES = Names(embedding="embed_tokens", layers="layers", final_norm="norm")


@family(
    "stablelm_epoch",
    roots=("model", ""),
    defaults=STABLELM_EPOCH,
    aliases={"partial_rotary_factor": "rope_pct"},
)
def stablelm_epoch(config: Config, root: str) -> CausalLM:
    """Llama with layer norms, and a quarter of each head that turns; the activation is always silu."""
    refuse(config, "stablelm_epoch", ("use_parallel_residual", "qk_layernorm"))
    require(config, "stablelm_epoch", {"rotary_scaling_factor": 1.0})
    width, heads = config["hidden_size"], config["num_attention_heads"]
    rope = Rope.of(config, width // heads)
    return stacked(
        config,
        root,
        NAMES,
        width=width,
        eps=config["norm_eps"],
        rms=False,
        attention=attention(
            "self_attn",
            *four_projections(qkv_bias=config["use_qkv_bias"]),
            rope.table("rotary_emb.inv_freq"),
            width=width,
            heads=heads,
            kv_heads=config["num_key_value_heads"],
            rope=rope,
        ),
        feed_forward=gated_mlp(config, "mlp", activation="silu"),
        head=head(config, root),
    )
