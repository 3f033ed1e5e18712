"""HyperCLOVA X SEED (NAVER 2025, arXiv 2404.01954): Granite with norms after each half. Source: `HyperCLOVAXConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import GRANITE, Dims, Output, rms_norms, rotary, visible
from weightscope.families.common.numbers import number
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.granite_scaled import granite_attention, granite_lm
from weightscope.roles import Role

HYPERCLOVAX = GRANITE | {"attention_multiplier": Nullable(float), "use_post_norm": True}


@family("hyperclovax", roots=("model", ""), defaults=HYPERCLOVAX)
def hyperclovax(config: Config, root: str) -> CausalLM:
    """Logits are multiplied by `logits_scaling`, which divides Granite's."""
    s, norm, after = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["use_post_norm"]
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=granite_attention(config, s, positions=rotary(config, s.head_dim), sees=visible(config)),
        attention_out_norm=norm("post_norm1", Role.POST_ATTENTION_NORM, s.width) if after else None,
        feed_forward_norm=norm("post_attention_layernorm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
        feed_forward_out_norm=norm("post_norm2", Role.POST_FEEDFORWARD_NORM, s.width) if after else None,
        residual_scale=number(config, "residual_multiplier"),
    )
    return granite_lm(config, root, s, lambda _: block, output=Output(scale=number(config, "logits_scaling")))
