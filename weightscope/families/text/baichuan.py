"""Baichuan and Baichuan 2 (arXiv 2309.10305): Llama with q, k, v fused. Source: `BaichuanConfig`, both versions."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Head
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.layout import Names, attention, sequential
from weightscope.families.common.parts import gated_mlp, head
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

BAICHUAN: dict[str, Any] = {
    "vocab_size": 64000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
NAMES = Names(embedding="embed_tokens", layers="layers", final_norm="norm")
# Whether the head's rows are normalized: no key says it, and the two versions are known by their vocabularies.
NORMALIZED = {64000: False, 125696: True}
UNKNOWN = "Baichuan 2 normalizes its head and Baichuan does not, and a vocabulary of {:,} is neither's"


@family("baichuan", roots=("model", ""), defaults=BAICHUAN)
def baichuan(config: Config, root: str) -> CausalLM:
    """7B turns queries and keys and has `max_position_embeddings`; 13B has ALiBi and `model_max_length` alone."""
    width, heads, vocabulary = config["hidden_size"], config["num_attention_heads"], config["vocab_size"]
    turns = "max_position_embeddings" in config
    if not turns and "model_max_length" not in config:
        raise UndeclaredError(
            "Baichuan without max_position_embeddings (rotary) or model_max_length (ALiBi) is not declared",
            where=config.source,
        )
    rope = rotary(config, width // heads)
    scored = head(config, root)
    if isinstance(scored, Head):
        scored = replace(scored, normalized=NORMALIZED.get(vocabulary, False))
    return sequential(
        config,
        root,
        NAMES,
        width=width,
        eps=config["rms_norm_eps"],
        attention=attention(
            "self_attn",
            Linear("W_pack", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ),
            Linear("o_proj", Role.O_PROJ),
            rope.table("rotary_emb.inv_freq"),
            width=width,
            heads=heads,
            rope=rope if turns else None,
        ),
        feed_forward=gated_mlp(config, "mlp"),
        head=scored,
        refused="" if vocabulary in NORMALIZED else UNKNOWN.format(vocabulary),
    )
