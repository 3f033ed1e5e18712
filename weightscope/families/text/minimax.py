"""MiniMax-Text-01 (arXiv 2501.08313): lightning attention and softmax attention in turns. Source: `MiniMaxConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.mixers import NormedBlock
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.lightning import LightningAttention
from weightscope.config import Config, Nullable
from weightscope.families.common.hybrid import attention, hybrid, kinds_of, mixture, number
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, rms_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role

PARTS = ("full_attn", "linear_attn", "mlp")
MINIMAX: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int),
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
    "sliding_window": Nullable(int),
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "block_size": 256,
    **{f"{part}_{factor}_factor": 1.0 for part in PARTS for factor in ("alpha", "beta")},
}
# The class gives this norm no epsilon of the config's.
INNER_EPS = 1e-6


@family("minimax", roots=ROOTS, defaults=MINIMAX, aliases={"num_local_experts": "num_experts"})
def minimax(config: Config, root: str) -> CausalLM:
    """Every other layer from the first has softmax attention, unless `layer_types` says otherwise."""
    width, eps, heads = config["hidden_size"], config["rms_norm_eps"], config["num_attention_heads"]
    head_dim, norm, (prefix, stacked) = config["head_dim"] or width // heads, rms_norms(eps), spelling(root)
    factors = {part: (number(config, f"{part}_alpha_factor"), number(config, f"{part}_beta_factor")) for part in PARTS}
    lightning = LightningAttention(
        name="self_attn",
        width=width,
        heads=heads,
        head_dim=head_dim,
        activation=config["hidden_act"],
        norm=RMSNorm(name="norm", role=Role.NORM, size=heads * head_dim, eps=INNER_EPS),
        chunk=config["block_size"],
    )
    window = config["sliding_window"]
    softmax = attention(config, head_dim, rope=rotary(config, head_dim), window=int(window) if window else None)
    expert = gated_mlp(config, "", names=("w1", "w3", "w2"))
    name = "mlp" if stacked else "block_sparse_moe"
    experts = mixture(config, name, expert, Routing(), stacked=stacked, count="num_local_experts")

    def block(kind: str) -> NormedBlock:
        full = kind == "full_attention"
        return NormedBlock(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
            attention=softmax if full else lightning,
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
            feed_forward=experts,
            attention_scales=factors["full_attn" if full else "linear_attn"],
            feed_forward_scales=factors["mlp"],
        )

    kinds = kinds_of(config, lambda layer: "linear_attention" if layer % 2 else "full_attention")
    return hybrid(config, prefix, kinds, block, eps=eps)
