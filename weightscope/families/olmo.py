"""OLMo (arXiv 2402.00838), 2 (arXiv 2501.00656) and 3. Sources: `OlmoConfig`, `Olmo2Config`, `Olmo3Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.config import Config, Nullable
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections, layer_norms, pattern
from weightscope.families.llama import LLAMA
from weightscope.families.registry import family
from weightscope.roles import Role

OLMO = LLAMA | {"vocab_size": 50304, "clip_qkv": Nullable(float)}
OLMO2 = LLAMA | {"vocab_size": 50304, "rms_norm_eps": 1e-5}
OLMO3 = OLMO2 | {"sliding_window": Nullable(int, 4096), "rope_theta": 500000.0, "rope_local_base_freq": 500000.0}


@family("olmo", roots=("model", ""), defaults=OLMO)
def olmo(config: Config, root: str) -> CausalLM:
    """Norms without weights, and queries, keys and values within `clip_qkv`."""
    bias = config["attention_bias"]
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        norm=layer_norms(1e-5, weighted=False),
        attention={"clip": config["clip_qkv"]},
    )


@family("olmo2", roots=("model", ""), defaults=OLMO2)
def olmo2(config: Config, root: str) -> CausalLM:
    """Norms after each half and none before; all queries together are normed, and all keys."""
    return _normed_after(config, root)


@family("olmo3", roots=("model", ""), defaults=OLMO3)
def olmo3(config: Config, root: str) -> CausalLM:
    """Three layers with a window, then one without, which alone has a scaled rotation."""
    head_dim = config["head_dim"] or config["hidden_size"] // config["num_attention_heads"]
    near = Rope.of(config, head_dim, layers="sliding_attention")
    far = Rope.of(config, head_dim, layers="full_attention")
    return _normed_after(
        config, root, slides=pattern(config, 4, None), ropes=lambda _, window: far if window is None else near
    )


def _normed_after(config: Config, root: str, **settings: Any) -> CausalLM:
    heads, eps, bias = config["num_attention_heads"], config["rms_norm_eps"], config["attention_bias"]
    head_dim = config["head_dim"] or config["hidden_size"] // heads
    keys = config["num_key_value_heads"] or heads
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        head_norms=(
            RMSNorm(name="q_norm", role=Role.Q_NORM, size=heads * head_dim, eps=eps),
            RMSNorm(name="k_norm", role=Role.K_NORM, size=keys * head_dim, eps=eps),
        ),
        norm_names=(None, None),
        out_norm_names=("post_attention_layernorm", "post_feedforward_layernorm"),
        attention={"whole_norms": True},
        **settings,
    )
