"""DeepSeek-V2 (arXiv 2405.04434): softmax routing without correction. Source: `DeepseekV2Config` of transformers."""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.latent import DEEPSEEK, decoder
from weightscope.families.common.mixtures import ROOTS
from weightscope.families.registry import family

DEEPSEEK_V2 = DEEPSEEK | {
    "vocab_size": 102400,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "moe_intermediate_size": 1407,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "n_shared_experts": Nullable(int, 2),
    "n_routed_experts": 64,
    "n_group": Nullable(int),
    "topk_group": Nullable(int),
    "topk_method": "greedy",
    "norm_topk_prob": False,
    "routed_scaling_factor": 1.0,
    "first_k_dense_replace": 0,
    "max_position_embeddings": 2048,
    "mlp_bias": False,
    "num_nextn_predict_layers": Nullable(int, 0),
}
# Whether only experts of the best groups count.
METHODS = {"greedy": False, "group_limited_greedy": True}


@family("deepseek_v2", roots=ROOTS, defaults=DEEPSEEK_V2)
def deepseek_v2(config: Config, root: str) -> CausalLM:
    """A group is as good as its best expert; weights are scores, not made to add up to 1."""
    method = config["topk_method"]
    if method not in METHODS:
        raise UndeclaredError(f"the routing {method!r} is not declared", where=config.source)
    if config["norm_topk_prob"]:
        # DeepSeek's code normalizes then, transformers does not; no published model asks for it.
        raise UndeclaredError("deepseek_v2 with norm_topk_prob is not declared", where=config.source)
    grouped = METHODS[method]
    routing = Routing(
        groups=int(config["n_group"] or 1) if grouped else 1,
        kept=int(config["topk_group"] or 1) if grouped else 1,
        best=1,
        normalize=False,
        scale=float(config["routed_scaling_factor"]),
    )
    return decoder(config, root, routing=routing, correction=False, mlp_bias=config["mlp_bias"])
