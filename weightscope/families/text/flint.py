"""Flint (RecursiveSI 2026): Qwen3-MoE with sinks, and a rotation where there is a window. Source: `FlintConfig`."""

from weightscope.components.attention import Scores
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, head_norms, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.qwen_moe import every_so_often
from weightscope.roles import Role

FLINT = LLAMA | {
    "vocab_size": 150144, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 49,
    "num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 262144, "sliding_window": 513,
    "layer_types": Nullable(list), "decoder_sparse_step": 1, "mlp_only_layers": Nullable(list, [0, 1], fills=True),
    "moe_intermediate_size": 512, "shared_expert_intermediate_size": 1024, "num_experts": 256, "num_experts_per_tok": 6,
    "norm_topk_prob": True,
}  # fmt: skip


@family("flint", roots=ROOTS, defaults=FLINT)
def flint(config: Config, root: str) -> CausalLM:
    """The first two layers, each fourth and the last see everything; the shared expert has no gate."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    last, bias, mixes = s.depth - 1, config["attention_bias"], every_so_often(config)
    kinds = layer_types(config, lambda i: FULL if i < 2 or i % 4 == 1 or i == last else SLIDING)
    scores = Scores(sinks="sinks" if stacked else "softmax_offset")
    mixed = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=config["moe_intermediate_size"]),
        routing=Routing(score="sigmoid", normalize=config["norm_topk_prob"]),
        shared=gated_mlp(config, "shared_expert", inner=config["shared_expert_intermediate_size"]),
        stacked=stacked,
    )

    def layer(i: int) -> Block:
        slides = kinds[i] == SLIDING
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=head_norms(norm, s.head_dim),
            positions=rotary(config, s.head_dim) if slides else None,
            sees=visible(config, config["sliding_window"] if slides else None),
            scores=scores,
        )
        feed_forward = mixed if mixes(i) else gated_mlp(config, "mlp")
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
