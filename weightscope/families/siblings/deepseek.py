"""Parts of DeepSeek-V2, V3 and what is made of them: latent attention, the mixture, which layers are mixed."""

from __future__ import annotations

from weightscope.components.attention import Rope, Temperature
from weightscope.components.attention.indexer import Indexer
from weightscope.components.attention.latent import LatentAttention
from weightscope.components.feed_forward.moe import MixtureOfExperts, Stack
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, depth_of, visible
from weightscope.families.common.mixtures import APART
from weightscope.families.common.parts import gated_mlp

DEEPSEEK = ROTARY | {
    "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "n_shared_experts": Nullable(int, 1), "n_routed_experts": 256,
    "num_experts_per_tok": 8, "n_group": Nullable(int, 8), "topk_group": Nullable(int, 4), "norm_topk_prob": True,
    "routed_scaling_factor": 2.5, "first_k_dense_replace": 3,
    # Only in DeepSeek's own code: each so many layers are mixed.
    "moe_layer_freq": 1, "q_lora_rank": Nullable(int, 1536), "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096, "rope_interleave": True, "attention_bias": False,
    "num_nextn_predict_layers": Nullable(int, 1),
}  # fmt: skip
DEEPSEEK_V32 = DEEPSEEK | {
    "max_position_embeddings": 163840, "num_nextn_predict_layers": Nullable(int, 0), "index_topk": 2048,
    "index_head_dim": 128, "index_n_heads": 64, "mlp_layer_types": Nullable(list),
}  # fmt: skip


def latent_attention(
    config: Config,
    rope: Rope | None,
    *,
    index_rope: Rope | None = None,
    follows: bool = False,
    root: str = "",
    temperature: Temperature | None = None,
) -> LatentAttention:
    """Named `self_attn`, its ranks and head sizes as the config says.

    With an `index_rope` an indexer that turns by it chooses what a token sees (DeepSeek-V3.2); one that `follows` has
    none and sees what the last indexer before it chose (GLM-5). How it is stored follows from the `root`. Queries grow
    by the `temperature` of their position (Mistral Small 4).
    """
    return LatentAttention(
        name="self_attn",
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        q_rank=config["q_lora_rank"] if config.declares("q_lora_rank") else None,
        kv_rank=config["kv_lora_rank"],
        nope=config["qk_nope_head_dim"],
        rope_dim=config["qk_rope_head_dim"],
        v_dim=config["v_head_dim"],
        rope=rope,
        bias=config["attention_bias"],
        sees=visible(config),
        indexer=None if index_rope is None else _indexer(config, index_rope),
        follows=follows,
        apart=root == APART,
        temperature=temperature,
    )


def turns_in_part(config: Config, rope: Rope, model: str) -> str:
    """Why there is no forward pass of a `partial_rotary_factor` below 1; empty where all that may turn does.

    The classes make fewer angles then than there are pairs.
    """
    return "" if rope.dim == config["qk_rope_head_dim"] else f"{model} with a partial_rotary_factor below 1"


def _indexer(config: Config, rope: Rope) -> Indexer:
    return Indexer(
        name="indexer",
        width=config["hidden_size"],
        q_rank=config["q_lora_rank"],
        heads=config["index_n_heads"],
        head_dim=config["index_head_dim"],
        keep=config["index_topk"],
        rope=rope,
    )


def deepseek_mixture(
    config: Config,
    *,
    stacked: Stack | None,
    routing: Routing | None = None,
    correction: bool = True,
    mlp_bias: bool = False,
) -> MixtureOfExperts:
    """Routed experts, and `n_shared_experts` for every token, stored as one wider MLP that alone may have biases.

    Routed as in DeepSeek-V3 unless told otherwise. Of 0 shared experts the MLP is stored without elements, as the class
    builds it; null is none.
    """
    inner, shared = config["moe_intermediate_size"], config["n_shared_experts"]
    return MixtureOfExperts(
        name="mlp",
        width=config["hidden_size"],
        experts=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", inner=inner),
        routing=routing or grouped_sigmoid(config),
        shared=None if shared is None else gated_mlp(config, "shared_experts", inner=inner * shared, bias=mlp_bias),
        correction="gate.e_score_correction_bias" if correction else None,
        stacked=stacked,
    )


def grouped_sigmoid(config: Config) -> Routing:
    """DeepSeek-V3's routing: sigmoid scores, the best groups first (arXiv 2412.19437, section 2.1.2)."""
    return Routing(
        score="sigmoid",
        groups=int(config["n_group"] or 1),
        kept=int(config["topk_group"] or 1),
        normalize=bool(config["norm_topk_prob"]),
        scale=float(config["routed_scaling_factor"] or 1),
    )


def first_dense(config: Config) -> list[bool]:
    """Which layers are mixed: `mlp_layer_types` says so, or all but the first `first_k_dense_replace`.

    Of the layers that are mixed so, only each `moe_layer_freq`-th is in DeepSeek's own code, which we follow.

    Raises:
        ConfigError: `mlp_layer_types` is of another length than the model is deep.
    """
    depth = depth_of(config)
    types = config["mlp_layer_types"] if config.declares("mlp_layer_types") else None
    if types is None:
        first = config["first_k_dense_replace"] if config.declares("first_k_dense_replace") else 1
        every = config["moe_layer_freq"] if config.declares("moe_layer_freq") else 1
        return [i >= (first or 0) and i % every == 0 for i in range(depth)]
    if not isinstance(types, list) or len(types) < depth:
        raise config.error(f"mlp_layer_types does not name {depth:,} layers")
    return [kind == "sparse" for kind in types[:depth]]
