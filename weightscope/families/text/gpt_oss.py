"""gpt-oss (OpenAI 2025, arXiv 2508.10925): attention with sinks, experts stacked. Source: `GptOssConfig`.

Published with the experts in MXFP4, written by transformers in 16 bits; which of both is the config's to say.
"""

from typing import Any

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import SWITCHED, spelling
from weightscope.families.common.parts import four_projections, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

YARN: dict[str, Any] = {
    "rope_type": "yarn", "factor": 32.0, "truncate": False, "original_max_position_embeddings": 4096,
}  # fmt: skip
GPT_OSS = LLAMA | {
    "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36,
    "num_attention_heads": 64, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int, 64),
    "rms_norm_eps": 1e-5, "max_position_embeddings": 131072, "rope_theta": 150000.0,
    "rope_parameters": Nullable(dict, YARN, fills=True), "layer_types": Nullable(list), "attention_bias": True,
    "sliding_window": Nullable(int, 128), "num_local_experts": 128, "num_experts_per_tok": 4, "swiglu_alpha": 1.702,
    "swiglu_limit": 7.0,
}  # fmt: skip
STACKED = (
    Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, bias="gate_up_proj_bias", transposed=True, alternating=True),
    Stacked("down_proj", Role.DOWN_PROJ, bias="down_proj_bias", transposed=True),
)
# MLX's converter takes gates and ups apart, and turns all matrices.
BY_MLX = tuple(
    Stacked(f"{role}.weight", role, bias=f"{role}.bias") for role in (Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ)
)


@family("gpt_oss", roots=("model", "", SWITCHED), defaults=GPT_OSS, attribute_map={"num_experts": "num_local_experts"})
def gpt_oss(config: Config, root: str) -> CausalLM:
    """A window in every other layer from the first; gates and ups alternate in one tensor."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    rope, kinds = rotary(config, s.head_dim), layer_types(config, lambda i: FULL if i % 2 else SLIDING)
    expert = GatedMLP(
        name="",
        items=(),
        width=s.width,
        inner=config["intermediate_size"],
        activation="silu",
        limit=config["swiglu_limit"],
        lift=1.0,
        steepness=config["swiglu_alpha"],
    )
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=expert,
        stacked=Stack(items=BY_MLX if root == SWITCHED else STACKED),
        router="router",
        router_bias=True,
    )

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            positions=rope,
            sees=visible(config, config["sliding_window"] if kinds[i] == SLIDING else None),
            scores=Scores(sinks="sinks"),
        )
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)

    return causal_lm(config, spelling(root)[0], layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
