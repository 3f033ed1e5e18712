"""Granite 3 (IBM 2024): Llama with four multipliers. Source: `GraniteConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import GRANITE, Dims, rotary, visible
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.granite_scaled import granite_attention, granite_block, granite_lm


@family("granite", roots=("model", ""), defaults=GRANITE)
def granite(config: Config, root: str) -> CausalLM:
    """Embeddings, scores, what each half adds and the logits are scaled by numbers of the config."""
    s, mlp = Dims.of(config), gated_mlp(config, "mlp", bias=config["mlp_bias"])
    attention = granite_attention(config, s, positions=rotary(config, s.head_dim), sees=visible(config))
    block = granite_block(config, s, attention=attention, feed_forward=mlp)
    return granite_lm(config, root, s, lambda _: block)
