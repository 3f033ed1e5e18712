"""The language model of Qwen 3.5. Source: `Qwen3_5TextConfig` of transformers."""

from msgspec.structs import replace

from weightscope.components.base import Component
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, causal_lm
from weightscope.families.common.layer_types import FULL
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_delta import (
    ALONE,
    BY_MLX,
    DELTA,
    delta_kinds,
    delta_net,
    delta_norms,
    gated_attention,
    qwen_ahead,
)
from weightscope.roles import Role

QWEN3_5 = DELTA | {
    "vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32,
    "num_attention_heads": 16, "num_key_value_heads": 4,
}  # fmt: skip


@family("qwen3_5_text", roots=("model", "", "model.language_model", BY_MLX, ALONE), defaults=QWEN3_5)
def qwen3_5_text(config: Config, root: str) -> CausalLM:
    """The third root is that within a vision-language model."""
    require(config, "Qwen 3.5", {"attn_output_gate": True})
    s, by_mlx = Dims.of(config), root in (BY_MLX, ALONE)
    norm, kinds = delta_norms(config, by_mlx=by_mlx), delta_kinds(config)
    attention, delta = gated_attention(config, s, by_mlx=by_mlx), delta_net(config, by_mlx=by_mlx)

    def block(mixer: Component) -> Block:
        return pre_norm_block(norm, s.width, attention=mixer, feed_forward=gated_mlp(config, "mlp"))

    def layer(i: int) -> Block:
        return block(attention if kinds[i] == FULL else delta)

    model = causal_lm(
        config,
        "model" if by_mlx else root,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        extras=() if by_mlx else qwen_ahead(config, block(attention)),
    )
    return replace(model, name="language_model") if root == ALONE else model
