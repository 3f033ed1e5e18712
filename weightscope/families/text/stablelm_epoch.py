"""StableLM as Stability first published it, with code of its own. Source: `StableLMEpochConfig`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common.layout import require
from weightscope.families.registry import family
from weightscope.families.text.stablelm import STABLELM, stablelm

EPOCH = STABLELM | {"rotary_scaling_factor": 1.0}
ALIASES = {"layer_norm_eps": "norm_eps", "partial_rotary_factor": "rope_pct"}
# The first code ignores them, or has no such settings.
DECLARED = {"rotary_scaling_factor": 1.0, "hidden_act": "silu", "use_parallel_residual": False, "qk_layernorm": False}


@family("stablelm_epoch", roots=("model", ""), defaults=EPOCH, aliases=ALIASES)
def stablelm_epoch(config: Config, root: str) -> CausalLM:
    """What transformers calls stablelm, under other keys."""
    require(config, "stablelm_epoch", DECLARED)
    return stablelm(config, root)
