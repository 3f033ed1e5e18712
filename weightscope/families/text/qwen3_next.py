"""Qwen3-Next, and Qwen 3.5's mixtures. Sources: `Qwen3NextConfig`, `Qwen3_5MoeTextConfig` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.hybrid import mixture
from weightscope.families.common.mixtures import ROOTS, every_so_often
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.qwen_delta import APART, DELTA, decoder
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

QWEN3_NEXT = DELTA | {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": Nullable(list),
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_experts_per_tok": 10,
    "num_experts": 512,
    "norm_topk_prob": True,
    "mtp_num_hidden_layers": Nullable(int, 1),  # published with one, which the config leaves out
}
QWEN3_5_MOE = QWEN3_NEXT | {
    "vocab_size": 248320,
    "num_hidden_layers": 40,
    "num_experts_per_tok": 8,
    "num_experts": 256,
    "mtp_num_hidden_layers": Nullable(int, 0),
}
# Within a vision-language model experts are stacked, those of the layers that predict ahead not always.
WITHIN = tuple(f"model.language_model, experts {how}" for how in ("stacked", "stacked but ahead", "apart"))


@family("qwen3_next", roots=ROOTS, defaults=QWEN3_NEXT)
def qwen3_next(config: Config, root: str) -> CausalLM:
    """The rows of both projections come in as many groups as there are key heads."""
    prefix, _, layout = root.partition(", ")
    groups = int(config["linear_num_key_heads"])
    projections = (
        Linear("in_proj_qkvz", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.Z_PROJ, groups=groups),
        Linear("in_proj_ba", Role.B_PROJ, Role.A_PROJ, groups=groups),
    )
    dense, sparse = gated_mlp(config, "mlp"), every_so_often(config)
    experts = mixed(config, layout, normalize=config["norm_topk_prob"])
    return decoder(config, prefix, projections, lambda layer: experts if sparse(layer) else dense)


@family("qwen3_5_moe_text", roots=(*ROOTS, *WITHIN), defaults=QWEN3_5_MOE)
def qwen3_5_moe_text(config: Config, root: str) -> CausalLM:
    """A mixture in every layer, its weights always normalized."""
    prefix, _, layout = root.partition(", ")
    experts = mixed(config, layout, normalize=True)
    ahead = experts if layout == "experts stacked" else mixed(config, "", normalize=True)
    return decoder(config, prefix, APART, lambda _: experts, ahead)


def mixed(config: Config, layout: str, *, normalize: bool) -> MixtureOfExperts:
    """A gated shared expert beside the routed ones."""
    return mixture(
        config,
        "mlp",
        gated_mlp(config, "", inner=config["moe_intermediate_size"]),
        Routing(normalize=normalize),
        stacked=layout.startswith("experts stacked"),
        shared=gated_mlp(config, "shared_expert", inner=config["shared_expert_intermediate_size"]),
        shared_gate="shared_expert_gate",
    )
