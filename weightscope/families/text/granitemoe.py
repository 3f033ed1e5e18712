"""Granite's mixtures: Granite with experts stacked on disk. Sources: `GraniteMoeConfig`, `GraniteMoeSharedConfig`."""

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import GRANITE, Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.numbers import divisor, number
from weightscope.families.common.parts import four_projections, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.granite import granite_mixture
from weightscope.roles import Role

GRANITEMOE = GRANITE | {"num_local_experts": 8, "num_experts_per_tok": 2}
SHARED = GRANITEMOE | {"shared_intermediate_size": 0}


@family("granitemoe", roots=ROOTS, defaults=GRANITEMOE)
@family("granitemoeshared", roots=ROOTS, defaults=SHARED)
def granitemoe(config: Config, root: str) -> CausalLM:
    """A shared MLP lies beside the mixture, if it has any width; four numbers scale the parts."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    shared = (config["shared_intermediate_size"] or None) if config.declares("shared_intermediate_size") else None
    bias = config["attention_bias"]
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
        feed_forward=granite_mixture(config, shared, stacked=stacked),
        residual_scale=number(config, "residual_multiplier"),
    )
    return causal_lm(
        config,
        prefix,
        lambda _: block,
        embedding=token_embedding(config, scale=number(config, "embedding_multiplier")),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(scale=1 / divisor(config, "logits_scaling")),
    )
