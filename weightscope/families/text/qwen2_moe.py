"""Qwen2-MoE (arXiv 2407.10671): routed experts beside a gated shared one. Source: `Qwen2MoeConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_moe import QWEN2_MOE, every_so_often, qwen_mixture
from weightscope.roles import Role

# The class then makes the window 0, so that these layers see nothing.
BLIND = "qwen2_moe with sliding_attention in layer_types and use_sliding_window false"


@family("qwen2_moe", roots=ROOTS, defaults=QWEN2_MOE)
def qwen2_moe(config: Config, root: str) -> CausalLM:
    """Windows, if used, are every other layer's among the lower ones; each so many layers are mixed."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    rope, window = rotary(config, s.head_dim), config["sliding_window"] if config["use_sliding_window"] else None
    below = 0 if window is None else config["max_window_layers"]
    kinds, mixes = layer_types(config, lambda i: SLIDING if i % 2 == 0 and i < below else FULL), every_so_often(config)
    mixed = qwen_mixture(config, normalize=config["norm_topk_prob"], stacked=stacked)

    def layer(i: int) -> Block:
        projections = four_projections(qkv_bias=config["qkv_bias"])
        sees = visible(config, window if kinds[i] == SLIDING else None)
        attention = self_attention(s, projections, positions=rope, sees=sees)
        feed_forward = mixed if mixes(i) else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    blind = "" if config["use_sliding_window"] or SLIDING not in kinds else BLIND
    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width), refused=blind)
