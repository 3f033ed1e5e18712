"""What is Llama in all but name, published with code of its own: InternLM, XVERSE.

Sources: `InternLMConfig` (internlm-chat-7b, internlm-20b), `XverseConfig`.
"""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.layout import refuse
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family

INTERNLM = LLAMA | {"vocab_size": 103168, "bias": True}
XVERSE = LLAMA | {
    "vocab_size": 100278,
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "max_position_embeddings": 8192,
}


@family("internlm", roots=("model", ""), defaults=INTERNLM)
def internlm(config: Config, root: str) -> CausalLM:
    """`bias` is on all four projections; `rotary` says theta, and whether it grows with the length."""
    bias = config["bias"]
    return decoder(_with_rotary(config), root, projections=four_projections(qkv_bias=bias, o_bias=bias))


@family("xverse", roots=("model", ""), defaults=XVERSE)
def xverse(config: Config, root: str) -> CausalLM:
    """No biases."""
    refuse(config, "XVERSE", ("bias", "attention_bias", "quantization_bit"))
    return decoder(config, root)


def _with_rotary(config: Config) -> Config:
    """InternLM's `rotary` in Llama's keys."""
    rotary = config.get("rotary")
    if rotary is None:
        return config
    rotary = rotary if isinstance(rotary, dict) else {"type": rotary}
    kind = rotary.get("type")
    if kind not in ("origin", "dynamic"):
        raise UndeclaredError(f"InternLM with the rotary type {kind!r:.60} is not declared", where=config.source)
    scaling = {"rope_type": kind, "factor": rotary.get("scaling_factor", 1.0)} if kind == "dynamic" else None
    keys = {"rope_theta": rotary.get("base", 10000), "rope_scaling": scaling}
    return Config(
        {**config.data, **keys},
        source=config.source,
        defaults=config.defaults,
        attribute_map=config.attribute_map,
        prefix=config.prefix,
        read=config.read,
    )
