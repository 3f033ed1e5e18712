"""The language model of Llama 4: a mixture whose weights go in, attention in chunks. Source: `Llama4TextConfig`."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.chunks import CHUNKS, attends, chunked, ropes
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import by_layer, listed, stacked_experts, with_mixture
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.stacked import Stacked

LLAMA4_TEXT = (
    LLAMA
    | CHUNKS
    | {
        "vocab_size": 202048,
        "hidden_size": 5120,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": Nullable(int, 8),
        "head_dim": Nullable(int, 128),
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        "rope_theta": 500000.0,
        "num_experts_per_tok": 1,
        "num_local_experts": 16,
        "moe_layers": Nullable(list),
        "interleave_moe_layer_step": 1,
    }
)
ITEMS = (
    Stacked("gate_up_proj", Role.GATE_PROJ, Role.UP_PROJ, transposed=True),
    Stacked("down_proj", Role.DOWN_PROJ, transposed=True),
)


@family("llama4_text", roots=("model", ""), defaults=LLAMA4_TEXT)
def llama4_text(config: Config, root: str) -> CausalLM:
    """Every `interleave_moe_layer_step`-th layer is mixed, or those that `moe_layers` lists."""
    bias, step, mixed = config["attention_bias"], config["interleave_moe_layer_step"], listed(config, "moe_layers")
    model = decoder(
        config,
        root,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=gated_mlp(config, "feed_forward", inner=config["intermediate_size_mlp"]),
        ropes=ropes(config),
    )
    every = config["moe_layers"] is None
    sparse = with_mixture(model, lambda i: (i + 1) % step == 0 if every else i in mixed, mixture(config))
    return by_layer(sparse, chunked(config), lambda block, seen: attends(config, block, chunked=seen))


def mixture(config: Config) -> MixtureOfExperts:
    """Sigmoid routing on a few; what goes into an expert is weighted."""
    experts, chosen = config["num_local_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "")
    return MixtureOfExperts(
        name="feed_forward",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=Routing(score="sigmoid", normalize=False, early=True),
        shared=gated_mlp(config, "shared_expert"),
        stacked=stacked_experts(expert, experts, chosen, items=ITEMS),
        router="router",
    )
