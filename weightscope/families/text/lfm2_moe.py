"""LFM2-MoE (arXiv 2511.23404): LFM2 with a mixture above its first layers. Source: `Lfm2MoeConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config
from weightscope.families.common import Dims, causal_lm, rms_norms
from weightscope.families.common.layer_types import FULL, layer_types
from weightscope.families.common.mixtures import ROOTS, SWITCHED, spelling
from weightscope.families.common.numbers import number
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.lfm2 import KINDS, LFM2_BOTH, lfm2_block
from weightscope.roles import Role

LFM2_MOE = LFM2_BOTH | {
    "hidden_size": 2048, "intermediate_size": 7168, "moe_intermediate_size": 1792, "num_dense_layers": 2,
    "num_experts_per_tok": 4, "num_experts": 32, "use_expert_bias": True, "routed_scaling_factor": 1.0,
    "norm_topk_prob": True,
}  # fmt: skip
NAMES, BY_MLX = ("w1", "w3", "w2"), ("gate_proj", "up_proj", "down_proj")


@family("lfm2_moe", roots=ROOTS, defaults=LFM2_MOE, attribute_map={"tie_embedding": "tie_word_embeddings"})
def lfm2_moe(config: Config, root: str) -> CausalLM:
    """A bias shifts the choice of experts but not their weights, as in DeepSeek-V3."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["norm_eps"]), spelling(root)
    normalize, scale = bool(config["norm_topk_prob"]), number(config, "routed_scaling_factor")
    names = BY_MLX if root == SWITCHED else NAMES
    dense = gated_mlp(config, "feed_forward", activation="silu", names=names)
    mixed = MixtureOfExperts(
        name="feed_forward",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=config["moe_intermediate_size"], activation="silu", names=names),
        routing=Routing(score="sigmoid", normalize=normalize, scale=scale, added=1e-6),
        correction="expert_bias" if config["use_expert_bias"] else None,
        stacked=stacked,
    )
    kinds, first = layer_types(config, lambda _: FULL, known=KINDS), config["num_dense_layers"]
    return causal_lm(
        config,
        prefix,
        lambda i: lfm2_block(config, s, kinds[i], dense if i < first else mixed),
        final_norm=norm("embedding_norm", Role.FINAL_NORM, s.width),
    )
