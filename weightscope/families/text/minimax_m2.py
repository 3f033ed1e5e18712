"""MiniMax-M2: Mixtral's names, sigmoid routing with a correction. Source: `MiniMaxM2Config` of transformers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.mixtures import ROOTS, spelling, stacked_experts
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role

MINIMAX_M2 = LLAMA | {
    "vocab_size": 200064,
    "hidden_size": 3072,
    "intermediate_size": 1536,
    "num_hidden_layers": 62,
    "num_attention_heads": 48,
    "num_key_value_heads": Nullable(int, 8),
    "head_dim": 128,
    "max_position_embeddings": 196608,
    "rope_theta": 5000000.0,
    "partial_rotary_factor": Nullable(float),
    "rotary_dim": Nullable(int),
    "num_local_experts": 256,
    "num_experts_per_tok": 8,
}


@family("minimax_m2", roots=ROOTS, defaults=MINIMAX_M2, aliases={"num_local_experts": "num_experts"})
def minimax_m2(config: Config, root: str) -> CausalLM:
    """Norms over all queries and all keys together; released configs give the turned elements as `rotary_dim`."""
    prefix, stacked = spelling(root)
    head_dim, eps = config["head_dim"], config["rms_norm_eps"]
    rope, turned = rotary(config, head_dim), config["rotary_dim"]
    rope = replace(rope, dim=int(turned)) if turned and rope.dim == head_dim else rope
    experts, chosen = config["num_local_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "", names=("w1", "w3", "w2"))
    sizes = {"q_norm": config["num_attention_heads"], "k_norm": config["num_key_value_heads"]}
    roles = {"q_norm": Role.Q_NORM, "k_norm": Role.K_NORM}
    return decoder(
        config,
        prefix,
        ropes=lambda *_: rope,
        head_norms=tuple(
            RMSNorm(name=name, role=roles[name], size=heads * head_dim, eps=eps) for name, heads in sizes.items()
        ),
        feed_forward=MixtureOfExperts(
            name="mlp" if stacked else "block_sparse_moe",
            width=config["hidden_size"],
            experts=experts,
            chosen=chosen,
            expert=expert,
            routing=Routing(score="sigmoid"),
            correction="e_score_correction_bias",
            stacked=stacked_experts(expert, experts, chosen) if stacked else None,
        ),
        attention={"whole_norms": True},
    )
