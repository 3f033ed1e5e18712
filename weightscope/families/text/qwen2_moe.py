"""Qwen2-MoE (arXiv 2407.10671) and Qwen3-MoE (arXiv 2505.09388). Sources: their config classes of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import QWEN2
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, every_so_often, spelling, stacked_experts, with_mixture
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family
from weightscope.sizes import Size

QWEN2_MOE = QWEN2 | {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": Nullable(int, 16),
    "decoder_sparse_step": 1,
    "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts": 60,
    "num_experts_per_tok": 4,
    "norm_topk_prob": False,
    "qkv_bias": True,
}
QWEN3_MOE = QWEN2_MOE | {
    "intermediate_size": 6144,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": Nullable(int),
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
}


@family("qwen2_moe", roots=ROOTS, defaults=QWEN2_MOE)
def qwen2_moe(config: Config, root: str) -> CausalLM:
    """A gated shared expert beside the routed ones; windows, if used, in every other of the lower layers."""
    prefix, _ = spelling(root)
    upper = config["max_window_layers"] if config["use_sliding_window"] else 0
    projections = four_projections(qkv_bias=config["qkv_bias"])
    model = decoder(config, prefix, projections=projections, slides=lambda i: i % 2 == 0 and i < upper)
    return with_mixture(model, every_so_often(config), mixture(config, root, config["shared_expert_intermediate_size"]))


@family("qwen3_moe", roots=ROOTS, defaults=QWEN3_MOE, aliases={"num_experts": "num_local_experts"})
def qwen3_moe(config: Config, root: str) -> CausalLM:
    """Norms on each head's queries and keys, and no shared expert; a window is every layer's."""
    bias, slides = config["attention_bias"], config["use_sliding_window"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    prefix, _ = spelling(root)
    model = decoder(config, prefix, projections=projections, head_norms=True, slides=lambda _: slides)
    return with_mixture(model, every_so_often(config), mixture(config, root))


def mixture(config: Config, root: str, shared: Size | None = None) -> MixtureOfExperts:
    """Softmax routing, its weights not normalized unless the config says so."""
    _, stacked = spelling(root)
    experts, chosen = config["num_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "", inner=config["moe_intermediate_size"])
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=Routing(normalize=config["norm_topk_prob"]),
        shared=gated_mlp(config, "shared_expert", inner=shared) if shared else None,
        shared_gate="shared_expert_gate" if shared else None,
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
    )
