"""Hunyuan 3 (Tencent 2026): norms of each head over a mixture with sigmoid routing. Source: `HYV3Config`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import STACKED, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import first_dense
from weightscope.roles import Role

HY_V3 = LLAMA | {
    "vocab_size": 120832, "intermediate_size": 13312, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
    "rope_theta": 11158840.0, "num_experts": 192, "num_experts_per_tok": 8, "num_shared_experts": 1,
    "moe_intermediate_size": 1536, "router_scaling_factor": 2.826, "mlp_layer_types": Nullable(list),
}  # fmt: skip
# Of router, correction and shared experts: as published, and as transformers 5 holds them in memory.
PUBLISHED, IN_MEMORY = (
    ("router.gate", "expert_bias", "shared_mlp"),
    ("gate", "e_score_correction_bias", "shared_experts"),
)


@family("hy_v3", roots=("model", "", STACKED), defaults=HY_V3, attribute_map={"num_local_experts": "num_experts"})
def hy_v3(config: Config, root: str) -> CausalLM:
    """The first layer is dense unless the config says otherwise; `mlp_bias` is not the routed experts'."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    (router, correction, shared), bias = IN_MEMORY if stacked else PUBLISHED, config["attention_bias"]
    inner, mlp_bias, mixes = config["moe_intermediate_size"], config["mlp_bias"], first_dense(config)
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        norms=head_norms(norm, s.head_dim),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
    )
    # The class takes a width of 0 for none given, which is that of a dense layer.
    shared_inner = inner * config["num_shared_experts"] or None
    mixed = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=Routing(score="sigmoid", scale=float(config["router_scaling_factor"])),
        shared=gated_mlp(config, shared, inner=shared_inner, bias=mlp_bias),
        correction=correction,
        stacked=stacked,
        router=router,
    )
    dense = gated_mlp(config, "mlp", bias=mlp_bias)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
