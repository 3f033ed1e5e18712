"""The language model of Qwen 3.5's mixtures. Source: `Qwen3_5MoeTextConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.mixtures import ROOTS, STACK, SWITCH, SWITCHED
from weightscope.families.common.parts import pre_norm_block
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_delta import QWEN3_NEXT, delta_kinds, delta_net, gated_attention, qwen_ahead
from weightscope.families.siblings.qwen_moe import qwen_mixture
from weightscope.roles import Role

QWEN3_5_MOE = QWEN3_NEXT | {
    "vocab_size": 248320, "num_hidden_layers": 40, "num_experts_per_tok": 8, "num_experts": 256,
    "mtp_num_hidden_layers": Nullable(int, 0),
}  # fmt: skip
# Within a vision-language model experts are stacked, those of the layers that predict ahead not always.
WITHIN = tuple(f"model.language_model, experts {how}" for how in ("stacked", "stacked but ahead", "apart"))


@family("qwen3_5_moe_text", roots=(*ROOTS, *WITHIN), defaults=QWEN3_5_MOE)
def qwen3_5_moe_text(config: Config, root: str) -> CausalLM:
    """A mixture in every layer, its weights always normalized."""
    require(config, "Qwen 3.5", {"attn_output_gate": True})
    s, norm, (prefix, _, layout) = Dims.of(config), rms_norms(config["rms_norm_eps"], offset=1.0), root.partition(", ")
    stack = SWITCH if root == SWITCHED else STACK if layout.startswith("experts stacked") else None
    kinds, attention, delta = delta_kinds(config), gated_attention(config, s), delta_net(config)
    mixed = qwen_mixture(config, normalize=True, stacked=stack)
    last = qwen_mixture(config, normalize=True, stacked=None if layout.endswith("ahead") else stack)

    def layer(i: int) -> Block:
        mixer = attention if kinds[i] == FULL else delta
        return pre_norm_block(norm, s.width, attention=mixer, feed_forward=mixed)

    ahead = pre_norm_block(norm, s.width, attention=attention, feed_forward=last)

    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=qwen_ahead(config, ahead),
    )
