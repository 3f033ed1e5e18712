"""gpt-oss (arXiv 2508.10925): attention sinks, clamped gates, stacked experts. Source: `GptOssConfig` of transformers.

Published with the experts in MXFP4, written by transformers in 16 bits; which of both is the config's to say.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import stacked_experts
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

YARN: dict[str, Any] = {"rope_type": "yarn", "factor": 32.0, "truncate": False}
GPT_OSS = LLAMA | {
    "vocab_size": 201088,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int, 64),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
    "rope_theta": 150000.0,
    "rope_parameters": Nullable(dict, YARN | {"original_max_position_embeddings": 4096}),
    "attention_bias": True,
    "sliding_window": Nullable(int, 128),
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "swiglu_alpha": 1.702,
    "swiglu_limit": 7.0,
}
ITEMS = (
    Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, bias="gate_up_proj_bias", transposed=True, alternating=True),
    Stacked("down_proj", Role.DOWN_PROJ, bias="down_proj_bias", transposed=True),
)


@family("gpt_oss", roots=("model", ""), defaults=GPT_OSS, aliases={"num_local_experts": "num_experts"})
def gpt_oss(config: Config, root: str) -> CausalLM:
    """A window in every other layer from the first; gates and ups alternate in one tensor."""
    bias, experts, chosen = config["attention_bias"], config["num_local_experts"], config["num_experts_per_tok"]
    expert = GatedMLP(
        name="",
        items=(),
        width=config["hidden_size"],
        inner=config["intermediate_size"],
        activation="silu",
        limit=config["swiglu_limit"],
        lift=1.0,
        steepness=config["swiglu_alpha"],
    )
    mixture = MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        stacked=stacked_experts(expert, experts, chosen, items=ITEMS),
        router="router",
        router_bias=True,
    )
    return decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=mixture,
        slides=lambda layer: layer % 2 == 0,
        attention={"sinks": "sinks"},
    )
