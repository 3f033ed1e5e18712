"""MiniMax-Text-01 (arXiv 2501.08313): lightning attention and softmax attention in turns. Source: `MiniMaxConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.mixers import NormedBlock
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.lightning import LightningAttention
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, LINEAR, MIXERS, layer_types
from weightscope.families.common.mixtures import ROOTS, STACK, spelling
from weightscope.families.common.numbers import number
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

PARTS = ("full_attn", "linear_attn", "mlp")
MINIMAX = ROTARY | {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8), "head_dim": Nullable(int), "hidden_act": "silu",
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "sliding_window": Nullable(int),
    "num_experts_per_tok": 2, "num_local_experts": 8, "block_size": 256, "layer_types": Nullable(list),
    **{f"{part}_{factor}_factor": 1.0 for part in PARTS for factor in ("alpha", "beta")},
}  # fmt: skip
# The class gives this norm no epsilon of the config's.
INNER_EPS = 1e-6


@family("minimax", roots=ROOTS, defaults=MINIMAX, attribute_map={"num_experts": "num_local_experts"})
def minimax(config: Config, root: str) -> CausalLM:
    """Every other layer from the first has softmax attention, unless `layer_types` says otherwise."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    factors = {part: (number(config, f"{part}_alpha_factor"), number(config, f"{part}_beta_factor")) for part in PARTS}
    kinds = layer_types(config, lambda i: LINEAR if i % 2 else FULL, known=MIXERS)
    lightning = LightningAttention(
        name="self_attn",
        width=s.width,
        heads=s.heads.count,
        head_dim=s.head_dim,
        activation=config["hidden_act"],
        norm=RMSNorm(name="norm", role=Role.NORM, size=s.queries, eps=INNER_EPS),
        chunk=config["block_size"],
    )
    rope, window = rotary(config, s.head_dim), config["sliding_window"] or None
    softmax = self_attention(s, four_projections(), positions=rope, sees=visible(config, window))
    mixture = MixtureOfExperts(
        name="mlp" if stacked == STACK else "block_sparse_moe",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=("w1", "w3", "w2")),
        stacked=stacked,
    )

    def layer(i: int) -> NormedBlock:
        full = kinds[i] == FULL
        return NormedBlock(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
            attention=softmax if full else lightning,
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward=mixture,
            attention_scales=factors["full_attn" if full else "linear_attn"],
            feed_forward_scales=factors["mlp"],
        )

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
