"""Phi-3's decoder, for every class that has its layers (arXiv 2404.14219)."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import fused_gated_mlp, pre_norm_block, self_attention
from weightscope.roles import Role
from weightscope.storage.base import join
from weightscope.storage.linear import Linear

PHI3: dict[str, Any] = LLAMA | {
    "vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "partial_rotary_factor": 1.0,
    "sliding_window": Nullable(int),
}  # fmt: skip
# Its classes take yarn and su for longrope, under its first names.
NAMES = {"yarn": "longrope", "su": "longrope"}


def phi3_decoder(config: Config, root: str, *, base: str = "") -> CausalLM:
    """Rows of `qkv_proj` are all queries, then all keys, then all values; of `gate_up_proj` all gates, then all ups.

    Each matrix lies in a module `base` of its own where adapters lie beside it.
    """
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = self_attention(
        s,
        (
            Linear(join("qkv_proj", base), Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ),
            Linear(join("o_proj", base), Role.O_PROJ),
        ),
        positions=rotary(config, s.head_dim, named=NAMES),
        sees=visible(config, config["sliding_window"]),
    )
    feed_forward = fused_gated_mlp(config, "mlp", names=(join("gate_up_proj", base), join("down_proj", base)))
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
