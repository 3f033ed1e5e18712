"""The language model of Qwen 3.5's mixtures. Source: `Qwen3_5MoeTextConfig` of transformers."""

from msgspec.structs import replace

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.mixtures import ROOTS, STACK, SWITCH, SWITCHED
from weightscope.families.common.parts import pre_norm_block
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_delta import (
    ALONE,
    QWEN3_NEXT,
    delta_kinds,
    delta_net,
    delta_norms,
    gated_attention,
    qwen_ahead,
)
from weightscope.families.siblings.qwen_moe import qwen_mixture
from weightscope.roles import Role

QWEN3_5_MOE = QWEN3_NEXT | {
    "vocab_size": 248320, "num_hidden_layers": 40, "num_experts_per_tok": 8, "num_experts": 256,
    "mtp_num_hidden_layers": Nullable(int, 0),
}  # fmt: skip
# Within a vision-language model experts are stacked, those of the layers that predict ahead not always.
WITHIN = tuple(f"model.language_model, experts {how}" for how in ("stacked", "stacked but ahead", "apart"))


@family("qwen3_5_moe_text", roots=(*ROOTS, *WITHIN, ALONE), defaults=QWEN3_5_MOE)
def qwen3_5_moe_text(config: Config, root: str) -> CausalLM:
    """A mixture in every layer, its weights always normalized."""
    require(config, "Qwen 3.5", {"attn_output_gate": True})
    s, by_mlx, (prefix, _, layout) = Dims.of(config), root in (SWITCHED, ALONE), root.partition(", ")
    stack = SWITCH if by_mlx else STACK if layout.startswith("experts stacked") else None
    norm, kinds = delta_norms(config, by_mlx=by_mlx), delta_kinds(config)
    attention, delta = gated_attention(config, s, by_mlx=by_mlx), delta_net(config, by_mlx=by_mlx)
    mixed = qwen_mixture(config, normalize=True, stacked=stack)
    last = qwen_mixture(config, normalize=True, stacked=None if layout.endswith("ahead") else stack)

    def layer(i: int) -> Block:
        mixer = attention if kinds[i] == FULL else delta
        return pre_norm_block(norm, s.width, attention=mixer, feed_forward=mixed)

    ahead = pre_norm_block(norm, s.width, attention=attention, feed_forward=last)

    model = causal_lm(
        config,
        "model" if by_mlx else prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=() if by_mlx else qwen_ahead(config, ahead),
    )
    return replace(model, name="language_model") if root == ALONE else model
