"""Gemma 2 (arXiv 2408.00118): norms around each half, capped scores and logits; VaultGemma (arXiv 2510.15001).

Sources: `Gemma2Config`, `VaultGemmaConfig` of transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from weightscope.components.attention import Attention, Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.components.norm import Norm
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA2, sandwich
from weightscope.roles import Role
from weightscope.sizes import Size


@family("gemma2", roots=("model", ""), defaults=GEMMA2)
def gemma2(config: Config, root: str) -> CausalLM:
    """A window in every other layer from the first."""
    return _decoder(config, root, sandwich)


@family("vaultgemma", roots=("model", ""), defaults=GEMMA2)
def vaultgemma(config: Config, root: str) -> CausalLM:
    """As Gemma 2, without the norms after each half."""
    return _decoder(config, root, _norms_before)


def _norms_before(
    norm: Callable[[str, Role, Size], Norm], width: Size, *, attention: Attention, feed_forward: GatedMLP
) -> Block:
    return Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm("pre_feedforward_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
        feed_forward=feed_forward,
    )


def _decoder(config: Config, root: str, block: Callable[..., Block]) -> CausalLM:
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
        return block(norm, s.width, attention=attention, feed_forward=mlp)

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, scale=sqrt(s.width)),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(cap=config["final_logit_softcapping"]),
    )
