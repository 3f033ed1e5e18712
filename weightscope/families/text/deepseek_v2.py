"""DeepSeek-V2 (arXiv 2405.04434): softmax routing without correction. Source: `DeepseekV2Config` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import (
    DEEPSEEK,
    deepseek_mixture,
    first_dense,
    latent_attention,
    turns_in_part,
)
from weightscope.roles import Role

DEEPSEEK_V2 = DEEPSEEK | {
    "vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 11008, "moe_intermediate_size": 1407,
    "num_hidden_layers": 32, "num_attention_heads": 32, "n_shared_experts": Nullable(int, 2), "n_routed_experts": 64,
    "n_group": Nullable(int), "topk_group": Nullable(int), "topk_method": "greedy", "norm_topk_prob": False,
    "routed_scaling_factor": 1.0, "first_k_dense_replace": 0, "max_position_embeddings": 2048, "mlp_bias": False,
    "num_experts_per_tok": Nullable(int),
}  # fmt: skip
# Whether only experts of the best groups count.
METHODS = {"greedy": False, "group_limited_greedy": True}


@family("deepseek_v2", roots=ROOTS, defaults=DEEPSEEK_V2, attribute_map={"num_experts": "n_routed_experts"})
def deepseek_v2(config: Config, root: str) -> CausalLM:
    """A group is as good as its best expert; weights are scores, not made to add up to 1."""
    method, (prefix, stacked) = config["topk_method"], spelling(root)
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"])
    grouped = METHODS.get(method, False)
    routing = Routing(
        groups=int(config["n_group"] or 1) if grouped else 1,
        kept=int(config["topk_group"] or 1) if grouped else 1,
        best=1,
        normalize=False,
        scale=float(config["routed_scaling_factor"]),
    )
    mixed = deepseek_mixture(config, stacked=stacked, routing=routing, correction=False, mlp_bias=config["mlp_bias"])
    dense, mixes = gated_mlp(config, "mlp", bias=config["mlp_bias"]), first_dense(config)
    # Its rotation pairs neighbours, whatever `rope_interleave` says.
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=True)
    attention = latent_attention(config, rope)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    return causal_lm(
        config,
        prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, width),
        # DeepSeek's code normalizes with norm_topk_prob, transformers does not; no published model asks for it.
        refused=not_computed(config, "DeepSeek-V2", {"norm_topk_prob": (False, None)})
        or ("" if method in METHODS else f"DeepSeek-V2 with topk_method {method!r:.60}")
        or turns_in_part(config, rope, "DeepSeek-V2"),
    )
