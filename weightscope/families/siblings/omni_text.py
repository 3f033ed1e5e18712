"""The language models within Qwen3-Omni: its thinker's, its talker's, and what predicts a talker's codes."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.rope import Rope
from weightscope.components.attention.softmax import Attention
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary
from weightscope.families.common.mixtures import STACK
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.siblings.qwen_moe import every_so_often, routed_mixture
from weightscope.roles import Role

THINKING: dict[str, Any] = ROTARY | {
    "vocab_size": 3584, "hidden_size": 2048, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_act": "silu", "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6, "attention_bias": False, "rope_theta": 1000000.0, "decoder_sparse_step": 1,
    "mlp_only_layers": Nullable(list), "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    # No field of the class, but its attention asks the config for it.
    "head_dim": Nullable(int),
}  # fmt: skip


def normed_attention(config: Config, positions: Rope | None = None) -> Attention:
    """Qwen3's: norms of each head, a bias on all projections or on none."""
    s, bias = Dims.of(config), config["attention_bias"]
    return self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=head_norms(rms_norms(config["rms_norm_eps"]), s.head_dim),
        positions=positions,
    )


def thinking_model(config: Config, root: str, *, stacked: bool) -> CausalLM:
    """Qwen3's mixture with positions in three axes that take turns."""
    config = config.with_defaults(THINKING)
    s, norm, mixes = Dims.of(config), rms_norms(config["rms_norm_eps"]), every_so_often(config)
    attention = normed_attention(config, rotary(config, s.head_dim, sections=(24, 20, 20), alternating=True))
    mixed = routed_mixture(config, normalize=config["norm_topk_prob"], stacked=STACK if stacked else None)

    def layer(i: int) -> Block:
        feed_forward = mixed if mixes(i) else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
