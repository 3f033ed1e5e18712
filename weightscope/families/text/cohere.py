"""Command R and Command R7B. Sources: `CohereConfig`, `Cohere2Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.norm import LayerNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, layer_norms, pattern
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role

COHERE: dict[str, Any] = {
    "vocab_size": 256000,
    "hidden_size": 8192,
    "intermediate_size": 22528,
    "logit_scale": 0.0625,
    "num_hidden_layers": 40,
    "num_attention_heads": 64,
    "num_key_value_heads": Nullable(int),
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "rope_theta": 500000.0,
    "attention_bias": False,
    "use_qk_norm": False,
}
COHERE2 = COHERE | {"rope_theta": 10000.0, "sliding_window": Nullable(int, 4096), "sliding_window_pattern": 4}


@family("cohere", roots=("model", ""), defaults=COHERE)
def cohere(config: Config, root: str) -> CausalLM:
    """`use_qk_norm` puts a norm of its own on each head's query and key."""
    heads, eps = config["num_attention_heads"], config["layer_norm_eps"]
    sides = (("q_norm", Role.Q_NORM, heads), ("k_norm", Role.K_NORM, config["num_key_value_heads"] or heads))
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    norms = tuple(
        LayerNorm(name=name, role=role, size=head_dim, eps=eps, bias=False, heads=count) for name, role, count in sides
    )
    return _decoder(config, root, head_norms=norms if config["use_qk_norm"] else (), interleaved=True)


@family("cohere2", roots=("model", ""), defaults=COHERE2)
def cohere2(config: Config, root: str) -> CausalLM:
    """Three layers with a window and rotation, then one with neither."""
    rope = rotary(config, config["hidden_size"] // config["num_attention_heads"], interleaved=True)
    return _decoder(config, root, slides=pattern(config, 4), ropes=lambda _, window: None if window is None else rope)


def _decoder(config: Config, root: str, **settings: Any) -> CausalLM:
    """Attention beside the MLP after one layer norm without bias; neighbours are rotated, logits scaled."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        norm=layer_norms(config["layer_norm_eps"], bias=False),
        norm_names=("input_layernorm", None),
        block={"parallel": True},
        heads={"scale": float(config["logit_scale"])},
        **settings,
    )
