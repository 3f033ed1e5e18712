"""Mixtral (arXiv 2401.04088): Mistral with eight experts for an MLP. Source: `MixtralConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common import MISTRAL, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, STACK, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

MIXTRAL = MISTRAL | {
    "num_local_experts": 8, "num_experts_per_tok": 2, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0,
    "sliding_window": Nullable(int),
}  # fmt: skip


@family("mixtral", roots=ROOTS, defaults=MIXTRAL, attribute_map={"num_experts": "num_local_experts"})
def mixtral(config: Config, root: str) -> CausalLM:
    """An expert's gate, up and down are called w1, w3 and w2 on disk, and in memory the mixture `mlp`."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    attention = self_attention(
        s, four_projections(), positions=rotary(config, s.head_dim), sees=visible(config, config["sliding_window"])
    )
    mixture = MixtureOfExperts(
        name="mlp" if stacked == STACK else "block_sparse_moe",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=("w1", "w3", "w2")),
        stacked=stacked,
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
