"""Gemma 4 (Google 2026): wider heads where a layer sees everything. Source: `Gemma4TextConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.layer_inputs import LayerInput, LayerScale
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.parts import pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.common.shared_keys import FULL, Sharing, decoder, layer_kinds, sandwich, shared_attention
from weightscope.families.registry import family
from weightscope.families.text.gemma import GEMMA
from weightscope.sizes import Size

GEMMA4 = GEMMA | {
    "vocab_size": 262144,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 512,
    "final_logit_softcapping": Nullable(float),
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": Nullable(int, 256),
    "attention_k_eq_v": False,
    "num_kv_shared_layers": 0,
    "enable_moe_block": False,
    "use_double_wide_mlp": False,
    "use_bidirectional_attention": Nullable(str),
    "global_head_dim": 512,
    "num_global_key_value_heads": Nullable(int),
    "per_layer_config": Nullable(dict),
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
    },
}
REFUSED = {"enable_moe_block": (True,), "use_bidirectional_attention": ("all",)}


@family("gemma4_text", roots=("model", "model.language_model", ""), defaults=GEMMA4)
def gemma4_text(config: Config, root: str) -> CausalLM:
    """The last layer sees everything; those that take others' keys may have an MLP of twice the width."""
    for key, values in REFUSED.items():
        if config[key] in values:
            raise UndeclaredError(f"Gemma 4 with {key} {config[key]!r} is not declared", where=config.source)
    width, inner, eps = config["hidden_size"], config["hidden_size_per_layer_input"], config["rms_norm_eps"]
    kinds = layer_kinds(config, pattern(config, 6, None))
    kinds[-1:] = [FULL for _ in kinds[-1:]]
    gets = LayerInput(width=width, inner=inner, activation=config["hidden_activation"], eps=eps) if inner else None

    def block(kind: str, mode: Sharing, head_dim: Size, kv_heads: Size) -> Block:
        attention = shared_attention(
            config,
            kind,
            mode,
            head_dim=head_dim,
            kv_heads=kv_heads,
            rope=rotary(config, head_dim, layers=kind),
            keys_are_values=config["attention_k_eq_v"] and kind == FULL,
        )
        wide = config["intermediate_size"] * (2 if config["use_double_wide_mlp"] and mode == "takes" else 1)
        return sandwich(config, attention, wide, after=(*((gets,) if gets else ()), LayerScale()))

    return decoder(config, root, kinds, block, inputs=bool(inner))
