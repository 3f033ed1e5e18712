"""Mistral (arXiv 2310.06825): Llama, every layer with a window. Source: `MistralConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import MISTRAL, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role


@family("mistral", roots=("model", ""), defaults=MISTRAL)
def mistral(config: Config, root: str) -> CausalLM:
    """The window is `sliding_window`, if that is set."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        four_projections(),
        positions=rotary(config, s.head_dim),
        sees=visible(config, config["sliding_window"]),
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
