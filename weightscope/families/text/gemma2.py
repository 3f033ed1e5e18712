"""Gemma 2 (arXiv 2408.00118): norms around each half, capped scores and logits. Source: `Gemma2Config`."""

from math import sqrt

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA2, sandwich
from weightscope.roles import Role


@family("gemma2", roots=("model", ""), defaults=GEMMA2)
def gemma2(config: Config, root: str) -> CausalLM:
    """A window in every other layer from the first."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"], offset=1.0), config["attention_bias"]
    rope, kinds = rotary(config, s.head_dim), layer_types(config, lambda i: FULL if i % 2 else SLIDING)
    scalar = config["query_pre_attn_scalar"]
    scores = Scores(scale=1 / sqrt(scalar) if scalar else None, cap=config["attn_logit_softcapping"])

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            positions=rope,
            sees=visible(config, config["sliding_window"] if kinds[i] == SLIDING else None),
            scores=scores,
        )
        mlp = gated_mlp(config, "mlp", activation=config["hidden_activation"])
        return sandwich(norm, s.width, attention=attention, feed_forward=mlp)

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, scale=sqrt(s.width)),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(cap=config["final_logit_softcapping"]),
    )
