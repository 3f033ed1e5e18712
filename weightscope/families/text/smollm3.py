"""SmolLM3 (Hugging Face 2025): Llama without rotation in every fourth layer. Source: `SmolLM3Config`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types, rotating
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

SMOLLM3 = LLAMA | {
    "vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 4), "max_position_embeddings": 32768, "rope_theta": 2000000.0,
    "use_sliding_window": False, "sliding_window": Nullable(int), "no_rope_layers": Nullable(list),
    "no_rope_layer_interval": 4, "layer_types": Nullable(list), "tie_word_embeddings": True,
}  # fmt: skip


@family("smollm3", roots=("model", ""), defaults=SMOLLM3)
def smollm3(config: Config, root: str) -> CausalLM:
    """`no_rope_layers` has a 1 for each layer with rotation; with `use_sliding_window` the others see a window."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    rope, rotates = rotary(config, s.head_dim), rotating(config)
    window, slides = config["sliding_window"], config["use_sliding_window"] and config["sliding_window"] is not None
    kinds = layer_types(config, lambda i: SLIDING if slides and not rotates[i] else FULL)

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            positions=rope if rotates[i] else None,
            sees=visible(config, window if kinds[i] == SLIDING else None),
        )
        feed_forward = gated_mlp(config, "mlp", bias=config["mlp_bias"])
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
