"""OLMoE (arXiv 2409.02060): norms over all queries and all keys together. Source: `OlmoeConfig` of transformers."""

from weightscope.components.attention import WholeNorms
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

OLMOE = LLAMA | {
    "vocab_size": 50304, "hidden_size": 2048, "intermediate_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 16, "rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "clip_qkv": Nullable(float),
    "num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": False,
}  # fmt: skip


@family("olmoe", roots=ROOTS, defaults=OLMOE, attribute_map={"num_local_experts": "num_experts"})
def olmoe(config: Config, root: str) -> CausalLM:
    """Queries, keys and values are held within `clip_qkv`, after the norms."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    bias, head = config["attention_bias"], s.width // s.heads.count
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        # Sized by the width, whatever `head_dim` says.
        norms=WholeNorms(
            query=norm("q_norm", Role.Q_NORM, s.width), key=norm("k_norm", Role.K_NORM, head * s.heads.keys)
        ),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
        clip=config["clip_qkv"],
    )
    mixture = MixtureOfExperts(
        name="mlp",
        width=s.width,
        experts=config["num_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        routing=Routing(normalize=config["norm_topk_prob"]),
        stacked=stacked,
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture)
    return causal_lm(config, prefix, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
