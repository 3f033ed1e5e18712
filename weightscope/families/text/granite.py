"""Granite 3 (IBM 2024): Llama with four multipliers. Source: `GraniteConfig` of transformers."""

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import GRANITE, Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.numbers import divisor, number
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role


@family("granite", roots=("model", ""), defaults=GRANITE)
def granite(config: Config, root: str) -> CausalLM:
    """Embeddings, scores, what each half adds and the logits are scaled by numbers of the config."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            positions=rotary(config, s.head_dim),
            sees=visible(config),
            scores=Scores(scale=config["attention_multiplier"]),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
        residual_scale=number(config, "residual_multiplier"),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, scale=number(config, "embedding_multiplier")),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(scale=1 / divisor(config, "logits_scaling")),
    )
