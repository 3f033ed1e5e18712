"""ERNIE 4.5's mixtures: neighbours turned together, a learned correction. Source: `Ernie4_5_MoeConfig`."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.ahead import by_part
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts, with_mixture
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family

ERNIE4_5_MOE = LLAMA | {
    "vocab_size": 103424,
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "num_hidden_layers": 28,
    "num_attention_heads": 20,
    "num_key_value_heads": Nullable(int, 4),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "use_bias": False,
    "moe_intermediate_size": 1536,
    "moe_k": 6,
    "moe_num_experts": 64,
    "moe_num_shared_experts": 2,
    "moe_layer_start_index": 1,
    "moe_layer_end_index": -1,
    "moe_layer_interval": 1,
    "moe_norm_min": 1e-12,
    "num_nextn_predict_layers": Nullable(int, 0),
}
ALIASES = {"moe_num_experts": "num_experts", "moe_k": "num_experts_per_tok"}


@family("ernie4_5_moe", roots=ROOTS, defaults=ERNIE4_5_MOE, aliases=ALIASES)
def ernie4_5_moe(config: Config, root: str) -> CausalLM:
    """Every `moe_layer_interval`-th layer between two is mixed; all but the experts may have biases."""
    prefix, stacked = spelling(root)
    bias, inner, shared = config["use_bias"], config["moe_intermediate_size"], config["moe_num_shared_experts"]
    first, last, step = (config[f"moe_layer_{key}"] for key in ("start_index", "end_index", "interval"))
    last = config["num_hidden_layers"] - 1 if last == -1 else last
    experts, chosen = config["moe_num_experts"], config["moe_k"]
    expert = gated_mlp(config, "", inner=inner)
    mixture = MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=Routing(least=config["moe_norm_min"]),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared, bias=bias) if shared else None,
        correction="gate.moe_statics.e_score_correction_bias" if stacked else "moe_statics.e_score_correction_bias",
        correction_counts=True,
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
    )
    model = decoder(
        config,
        prefix,
        projections=four_projections(qkv_bias=bias, o_bias=bias),
        feed_forward=gated_mlp(config, "mlp", bias=bias),
        interleaved=True,
        heads={"bias": bias},
    )
    block = model.decoder.blocks[0].child
    assert isinstance(block, Block)
    model = replace(model, extras=by_part(config, prefix, block))
    return with_mixture(model, lambda layer: (layer + 1) % step == 0 and first <= layer <= last, mixture)
