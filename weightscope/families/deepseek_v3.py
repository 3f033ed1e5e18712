"""DeepSeek-V3 (arXiv 2412.19437) and Kimi K2: latent attention, a mixture with a shared expert, token prediction ahead.

Sources: `DeepseekV3Config` of transformers; the names of the multi-token prediction layer from DeepSeek's checkpoints.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Indices, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.latent_attention import LatentAttention
from weightscope.components.moe import MixtureOfExperts, Routing
from weightscope.components.mtp import MultiTokenPrediction
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.components.windows import depth_of
from weightscope.config import Config, Nullable
from weightscope.families.common.parts import gated_mlp, head
from weightscope.families.registry import family
from weightscope.roles import Role

DEEPSEEK_V3: dict[str, Any] = {
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "n_shared_experts": Nullable(int, 1),
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_group": Nullable(int, 8),
    "topk_group": Nullable(int, 4),
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "q_lora_rank": Nullable(int, 1536),
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "rope_interleave": True,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "num_nextn_predict_layers": Nullable(int, 1),
}


@family("deepseek_v3", roots=("model", ""), defaults=DEEPSEEK_V3)
@family("kimi_k2", roots=("model", ""), defaults=DEEPSEEK_V3 | {"num_nextn_predict_layers": Nullable(int, 0)})
def deepseek_v3(config: Config, root: str) -> CausalLM:
    """The first layers are dense; layers beyond `num_hidden_layers` predict further tokens ahead."""
    width, depth, eps = config["hidden_size"], config["num_hidden_layers"], config["rms_norm_eps"]
    ahead = config["num_nextn_predict_layers"] or 0
    dense, sparse = _layers(config)
    mtp = MultiTokenPrediction(
        width=width, vocabulary=config["vocab_size"], eps=eps, block=block(config, mixture(config))
    )
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width),
            blocks=(
                Repeat(name="layers", indices=dense, child=block(config, gated_mlp(config, "mlp"))),
                Repeat(name="layers", indices=sparse, child=block(config, mixture(config))),
            ),
            final_norm=RMSNorm(name="norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=depth,
        ),
        head=head(config, root),
        extras=(Repeat(name=f"{root}.layers" if root else "layers", indices=range(depth, depth + ahead), child=mtp),),
    )


def block(config: Config, feed_forward: Component) -> Block:
    """One layer, dense or mixed."""
    width, eps, rope_dim = config["hidden_size"], config["rms_norm_eps"], config["qk_rope_head_dim"]
    return Block(
        input_norm=RMSNorm(name="input_layernorm", role=Role.INPUT_NORM, size=width, eps=eps),
        attention=LatentAttention(
            name="self_attn",
            width=width,
            heads=config["num_attention_heads"],
            q_rank=config["q_lora_rank"],
            kv_rank=config["kv_lora_rank"],
            nope=config["qk_nope_head_dim"],
            rope_dim=rope_dim,
            v_dim=config["v_head_dim"],
            rope=Rope.of(config, rope_dim, interleaved=config["rope_interleave"]),
            bias=config["attention_bias"],
        ),
        feed_forward_norm=RMSNorm(name="post_attention_layernorm", role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
        feed_forward=feed_forward,
    )


def mixture(config: Config) -> MixtureOfExperts:
    """Routed experts and `n_shared_experts` that every token passes through, stored as one wider MLP."""
    inner, shared = config["moe_intermediate_size"], config["n_shared_experts"]
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=Routing(
            score="sigmoid",
            groups=int(config["n_group"] or 1),
            kept=int(config["topk_group"] or 1),
            normalize=bool(config["norm_topk_prob"]),
            scale=float(config["routed_scaling_factor"] or 1),
        ),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared) if shared else None,
        correction="gate.e_score_correction_bias",
    )


def _layers(config: Config) -> tuple[Indices, Indices]:
    """Which layers are dense and which are mixed (`first_k_dense_replace`, `moe_layer_freq`)."""
    depth, first, every = depth_of(config), config["first_k_dense_replace"], config["moe_layer_freq"]
    if every == 1:
        return range(min(first, depth)), range(min(first, depth), depth)
    sparse = [layer for layer in range(depth) if layer >= first and layer % every == 0]
    among = set(sparse)
    return [layer for layer in range(depth) if layer not in among], sparse
