"""The block that OLMo 2, OLMo 3 and the attention layers of OLMo Hybrid have. Source: `Olmo2DecoderLayer`."""

from __future__ import annotations

from weightscope.components.attention import WholeNorms
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.sees import Sees
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.config import Config
from weightscope.families.common import Dims, rms_norms
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.roles import Role


def post_norm_block(
    config: Config,
    s: Dims,
    *,
    positions: Rope | None,
    sees: Sees,
    attended: str = "post_attention_layernorm",
    feed_forward: Component | None = None,
) -> Block:
    """X + norm(attention(x)), then x + norm(feed_forward(x)), an MLP unless told otherwise.

    `attended` is the first norm's name on disk. All queries together are normed, and all keys.
    """
    norm, bias = rms_norms(config["rms_norm_eps"], wide=True), config["attention_bias"]
    return Block(
        input_norm=None,
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=WholeNorms(query=norm("q_norm", Role.Q_NORM, s.queries), key=norm("k_norm", Role.K_NORM, s.keys)),
            positions=positions,
            sees=sees,
        ),
        attention_out_norm=norm(attended, Role.POST_ATTENTION_NORM, s.width),
        feed_forward_norm=None,
        feed_forward=feed_forward or gated_mlp(config, "mlp"),
        feed_forward_out_norm=norm("post_feedforward_layernorm", Role.POST_FEEDFORWARD_NORM, s.width),
    )
