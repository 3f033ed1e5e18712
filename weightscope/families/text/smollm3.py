"""SmolLM3 (Hugging Face 2025): Llama without rotation in every fourth layer. Source: `SmolLM3Config`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.dims import depth_of
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family

SMOLLM3 = LLAMA | {
    "vocab_size": 128256,
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 4),
    "max_position_embeddings": 32768,
    "rope_theta": 2000000.0,
    "use_sliding_window": False,
    "sliding_window": Nullable(int),
    "no_rope_layers": Nullable(list),
    "no_rope_layer_interval": 4,
    "tie_word_embeddings": True,
}


@family("smollm3", roots=("model", ""), defaults=SMOLLM3)
def smollm3(config: Config, root: str) -> CausalLM:
    """`no_rope_layers` has a 1 for each layer with rotation; with `use_sliding_window` the others see a window."""
    depth, listed, every = depth_of(config), config["no_rope_layers"], config["no_rope_layer_interval"]
    turned = listed if listed is not None else [(layer + 1) % every != 0 for layer in range(depth)]
    if len(turned) != depth:
        raise config.error(f"no_rope_layers does not name {depth:,} layers, as num_hidden_layers says")
    rope = rotary(config, config["head_dim"] or config["hidden_size"] // config["num_attention_heads"])
    bias, windows = config["attention_bias"], config["use_sliding_window"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
        slides=lambda layer: windows and not turned[layer],
        ropes=lambda layer, _: rope if turned[layer] else None,
    )
