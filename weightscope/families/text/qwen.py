"""Qwen, the first (arXiv 2309.16609): Llama under GPT-2's names. Source: `QWenConfig`, published with its code."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.layout import Names, attention, refuse, sequential, swiglu
from weightscope.families.common.parts import head
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

QWEN: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "kv_channels": 128,
    "layer_norm_epsilon": 1e-6,
    "seq_length": 8192,
    "rotary_pct": 1.0,
    "rotary_emb_base": 10000,
    "use_dynamic_ntk": True,
    "use_logn_attn": True,
    "no_bias": True,
    "tie_word_embeddings": False,
}
NAMES = Names(embedding="wte", layers="h", final_norm="ln_f", norms=("ln_1", "ln_2"))


@family("qwen", roots=("transformer", ""), defaults=QWEN)
def qwen(config: Config, root: str) -> CausalLM:
    """`w2` is the gate and `w1` goes beside it; `intermediate_size` counts both."""
    # Under the same type: Qwen-VL and Qwen-Audio.
    refuse(config, "Qwen", ("visual", "audio"))
    width, heads, head_dim = (config[k] for k in ("hidden_size", "num_attention_heads", "kv_channels"))
    bias = not config["no_bias"]
    if heads * head_dim != width:
        raise UndeclaredError(
            "Qwen with kv_channels that do not make up hidden_size is not declared", where=config.source
        )
    longer = config["use_dynamic_ntk"] or config["use_logn_attn"]
    rope = replace(
        rotary(config, head_dim),
        theta=float(config["rotary_emb_base"]),
        limit=int(config["seq_length"]) if longer else None,
        beyond="use_dynamic_ntk or use_logn_attn changes sequences longer than seq_length",
    )
    return sequential(
        config,
        root,
        NAMES,
        width=width,
        eps=config["layer_norm_epsilon"],
        attention=attention(
            "attn",
            Linear("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
            Linear("c_proj", Role.O_PROJ, bias=bias),
            width=width,
            heads=heads,
            head_dim=head_dim,
            rope=rope,
        ),
        feed_forward=swiglu(
            "mlp",
            Linear("w2", Role.GATE_PROJ, bias=bias),
            Linear("w1", Role.UP_PROJ, bias=bias),
            Linear("c_proj", Role.DOWN_PROJ, bias=bias),
            width=width,
            inner=config["intermediate_size"] // 2,
        ),
        head=head(config, root),
    )
