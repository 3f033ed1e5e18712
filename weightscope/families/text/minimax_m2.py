"""MiniMax-M2: Mixtral's names, sigmoid routing with a correction. Source: `MiniMaxM2Config` of transformers."""

from msgspec.structs import replace

from weightscope.components.attention import WholeNorms
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, STACK, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

MINIMAX_M2 = LLAMA | {
    "vocab_size": 200064, "hidden_size": 3072, "intermediate_size": 1536, "num_hidden_layers": 62,
    "num_attention_heads": 48, "num_key_value_heads": Nullable(int, 8), "head_dim": 128,
    "max_position_embeddings": 196608, "rope_theta": 5000000.0, "partial_rotary_factor": Nullable(float),
    "rotary_dim": Nullable(int), "num_local_experts": 256, "num_experts_per_tok": 8,
}  # fmt: skip


@family("minimax_m2", roots=ROOTS, defaults=MINIMAX_M2, attribute_map={"num_experts": "num_local_experts"})
def minimax_m2(config: Config, root: str) -> CausalLM:
    """Norms over all queries and all keys together; released configs give the rotated elements as `rotary_dim`."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    rope, rotated = rotary(config, s.head_dim), config["rotary_dim"]
    attention = self_attention(
        s,
        four_projections(),
        norms=WholeNorms(query=norm("q_norm", Role.Q_NORM, s.queries), key=norm("k_norm", Role.K_NORM, s.keys)),
        positions=replace(rope, dim=int(rotated)) if rotated and rope.dim == s.head_dim else rope,
        sees=visible(config),
    )
    mixture = MixtureOfExperts(
        name="mlp" if stacked == STACK else "block_sparse_moe",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=("w1", "w3", "w2")),
        routing=Routing(score="sigmoid"),
        correction="e_score_correction_bias",
        stacked=stacked,
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
