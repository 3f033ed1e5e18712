"""TeleChat-52B (arXiv 2401.03804): GPT-2's layout with a gate, rotation and muP's factors. Source: `TELECHATConfig`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.attention.rope import Rope
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Head
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.layout import Names, attention, require, sequential, swiglu
from weightscope.families.common.parts import head
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Conv1D
from weightscope.storage.plain import Buffer

TELECHAT_52B: dict[str, Any] = {
    "n_positions": 1024,
    "n_inner": Nullable(int),
    "layer_norm_epsilon": 1e-5,
    "rotary_theta": 10000,
    "scale_attn_weights": True,
    "use_mup": False,
    "mup_scale_factor": 1.0,
    "input_mult": 1.0,
    "output_mult": 1.0,
    "use_RMSNorm": False,
    "add_bias_linear": True,
    "tie_word_embeddings": True,
}
NAMES = Names(embedding="wte", layers="h", final_norm="ln_f", norms=("ln_1", "ln_2"))
# The one setting of each that is declared.
DECLARED = {
    "relative_encoding": "rotary",
    "rotary_use_xpos": False,
    "activation_function": "silu",
    "scale_attn_weights": True,
}


def telechat_52b(config: Config, root: str) -> CausalLM:
    """`telechat` calls it: the type is the same, the config's keys are not. Scores by layer cancel out."""
    config = config.with_defaults(TELECHAT_52B, {})
    require(config, "TeleChat", DECLARED)
    width, heads, bias, positions = (config[k] for k in ("n_embd", "n_head", "add_bias_linear", "n_positions"))
    mup, scored = config["use_mup"], head(config, root, width=width)
    if mup and isinstance(scored, Head):
        scored = replace(scored, scale=config["output_mult"] / config["mup_scale_factor"])
    return sequential(
        config,
        root,
        NAMES,
        width=width,
        depth=depth_of(config, "n_layer"),
        eps=config["layer_norm_epsilon"],
        rms=config["use_RMSNorm"],
        attention=attention(
            "attn",
            Conv1D("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias),
            Conv1D("c_proj", Role.O_PROJ, bias=bias),
            Buffer("bias", Role.CAUSAL_MASK, (Size(1), Size(1), positions, positions)),
            Buffer("masked_bias", Role.CAUSAL_MASK, ()),
            width=width,
            heads=heads,
            rope=Rope(dim=int(width // heads), theta=float(config["rotary_theta"])),
        ),
        feed_forward=swiglu(
            "mlp",
            Conv1D("c_fc", Role.GATE_PROJ, Role.UP_PROJ, bias=bias),
            Conv1D("c_proj", Role.DOWN_PROJ, bias=bias),
            width=width,
            inner=config["n_inner"] or width * 4,
        ),
        head=scored,
        embedding_scale=float(config["input_mult"]) if mup else 1.0,
    )
