"""A decoder laid out as DeepSeek-V3's: latent attention, dense layers below mixed ones, token prediction ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from weightscope.components.attention.indexer import Indexer
from weightscope.components.attention.latent import LatentAttention
from weightscope.components.attention.rope import Rope
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.norm import RMSNorm
from weightscope.config import Config, Nullable
from weightscope.families.common.ahead import numbered
from weightscope.families.common.dims import depth_of
from weightscope.families.common.mixtures import spelling, stacked_experts
from weightscope.families.common.parts import gated_mlp, head
from weightscope.families.common.rotary import rotary
from weightscope.families.common.windows import alike
from weightscope.roles import Role

DEEPSEEK: dict[str, Any] = {
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


def decoder(
    config: Config,
    root: str,
    *,
    routing: Routing | None = None,
    correction: bool = True,
    mlp_bias: bool = False,
    indexed: Callable[[int], bool | None] = lambda _: None,
    indexer_interleaved: bool = False,
    copies: bool = True,
) -> CausalLM:
    """The first layers are dense; layers beyond `num_hidden_layers` predict further tokens ahead.

    `indexed` tells which layers choose the positions that they see, and which, by False, follow those before; `copies`
    whether the layers ahead are published with copies of embedding and head.
    """
    prefix, stacked = spelling(root)
    width, depth, eps = config["hidden_size"], config["num_hidden_layers"], config["rms_norm_eps"]
    mixed = mixture(config, stacked=stacked, routing=routing, correction=correction, mlp_bias=mlp_bias)
    dense = gated_mlp(config, "mlp", bias=mlp_bias)
    sparse = sparse_layers(config)

    def layer(number: int) -> Block:
        feed_forward = mixed if sparse(number) else dense
        return block(config, feed_forward, indexed=indexed(number), indexer_interleaved=indexer_interleaved)

    kinds = alike(range(depth_of(config)), lambda number: (sparse(number), indexed(number)))
    last = block(config, mixed, indexed=indexed(0), indexer_interleaved=indexer_interleaved)
    return CausalLM(
        decoder=Decoder(
            name=prefix,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width),
            blocks=tuple(Repeat(name="layers", indices=layers, child=layer(layers[0])) for layers, _ in kinds),
            final_norm=RMSNorm(name="norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=depth,
        ),
        head=head(config, prefix),
        extras=numbered(config, prefix, last, copies=copies),
    )


def block(
    config: Config, feed_forward: Component, *, indexed: bool | None = None, indexer_interleaved: bool = False
) -> Block:
    """One layer, dense or mixed."""
    width, eps, rope_dim = config["hidden_size"], config["rms_norm_eps"], config["qk_rope_head_dim"]
    rope = rotary(config, rope_dim, interleaved=config["rope_interleave"])
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
            rope=rope,
            bias=config["attention_bias"],
            indexer=indexer(config, replace(rope, interleaved=indexer_interleaved)) if indexed else None,
            follows=indexed is False,
        ),
        feed_forward_norm=RMSNorm(name="post_attention_layernorm", role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
        feed_forward=feed_forward,
    )


def indexer(config: Config, rope: Rope) -> Indexer:
    """What chooses the positions that attention sees."""
    return Indexer(
        name="indexer",
        width=config["hidden_size"],
        q_rank=config["q_lora_rank"],
        heads=config["index_n_heads"],
        head_dim=config["index_head_dim"],
        keep=config["index_topk"],
        rope=rope,
    )


def mixture(
    config: Config,
    *,
    stacked: bool = False,
    routing: Routing | None = None,
    correction: bool = True,
    mlp_bias: bool = False,
) -> MixtureOfExperts:
    """Routed experts and `n_shared_experts` that every token passes through, stored as one wider MLP."""
    inner, shared = config["moe_intermediate_size"], config["n_shared_experts"]
    experts, chosen = config["n_routed_experts"], config["num_experts_per_tok"]
    expert = gated_mlp(config, "", inner=inner)
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=routing or grouped_sigmoid(config),
        shared=gated_mlp(config, "shared_experts", inner=inner * shared, bias=mlp_bias) if shared else None,
        correction="gate.e_score_correction_bias" if correction else None,
        stacked=stacked_experts(expert, experts, chosen) if stacked else None,
    )


def grouped_sigmoid(config: Config) -> Routing:
    """DeepSeek-V3's routing: sigmoid scores, the best groups first."""
    return Routing(
        score="sigmoid",
        groups=int(config["n_group"] or 1),
        kept=int(config["topk_group"] or 1),
        normalize=bool(config["norm_topk_prob"]),
        scale=float(config["routed_scaling_factor"] or 1),
    )


def sparse_layers(config: Config) -> Callable[[int], bool]:
    """Which layers are mixed: by `mlp_layer_types` or else by `first_k_dense_replace` and `moe_layer_freq`."""
    types = config.get("mlp_layer_types")
    if types is not None:
        if not isinstance(types, list) or len(types) != config["num_hidden_layers"]:
            raise config.error(f"mlp_layer_types does not name {config['num_hidden_layers']:,} layers")
        return lambda layer: types[layer] == "sparse"
    first, every = config["first_k_dense_replace"], config.get("moe_layer_freq", 1)
    return lambda layer: layer >= first and layer % every == 0
