"""Mistral Small 4 (2026): DeepSeek-V3's layout, softmax scores, longer queries. Source: `Mistral4Config`."""

from typing import Any

from weightscope.components.attention import Temperature
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.mixtures import LATENT_ROOTS, STACKED, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import DEEPSEEK, deepseek_mixture, first_dense, latent_attention
from weightscope.roles import Role

YARN: dict[str, Any] = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 128.0, "original_max_position_embeddings": 8192,
    "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1,
}  # fmt: skip
MISTRAL4 = DEEPSEEK | {
    "vocab_size": 131072, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
    "num_attention_heads": 32, "n_shared_experts": 1, "n_routed_experts": 128, "routed_scaling_factor": 1.0,
    "kv_lora_rank": 256, "q_lora_rank": Nullable(int, 1024), "qk_nope_head_dim": 64, "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1), "num_experts_per_tok": 4, "first_k_dense_replace": Nullable(int, 0),
    "head_dim": Nullable(int),
    "max_position_embeddings": 1048576, "rope_parameters": Nullable(dict, YARN, fills=True),
}  # fmt: skip
# Published with experts stacked, as transformers 5 holds them in memory.
OWN_ROOTS = (STACKED, *(root for root in LATENT_ROOTS if root != STACKED))
# No keys of the class.
for absent in ("moe_layer_freq", "num_nextn_predict_layers"):
    del MISTRAL4[absent]


@family("mistral4", roots=OWN_ROOTS, defaults=MISTRAL4, attribute_map={"num_local_experts": "n_routed_experts"})
def mistral4(config: Config, root: str) -> CausalLM:
    """Queries beyond the context before extension are made larger, as Ministral 3's are."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    turning = config["qk_rope_head_dim"]
    whole = config["qk_nope_head_dim"] + turning
    # A share of a head turns: usually what `qk_rope_head_dim` is of it.
    settings = {"partial_rotary_factor": turning / max(whole, 1)} | (
        config["rope_scaling"] or config["rope_parameters"]
    )
    rope = rotary(config, config["head_dim"] or whole, interleaved=config["rope_interleave"], settings=settings)
    share = rope.scaling.get("llama_4_scaling_beta")
    late = Temperature(share=float(share), every=rope.scaling.before) if share else None
    attention = latent_attention(config, rope, root=root, temperature=late)
    routing = Routing(
        groups=int(config["n_group"] or 1),
        kept=int(config["topk_group"] or 1),
        normalize=bool(config["norm_topk_prob"]),
        scale=float(config["routed_scaling_factor"]),
    )
    mixed = deepseek_mixture(config, stacked=stacked, routing=routing, correction=False)
    dense, mixes = gated_mlp(config, "mlp"), first_dense(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention, feed_forward=mixed if mixes[i] else dense)

    refused = ""
    if rope.scaling.kind != "yarn" or share is None:
        refused = "Mistral Small 4 without YaRN's settings"
    elif rope.dim != turning:
        # The class makes another number of angles than there are pairs.
        refused = "Mistral Small 4 with a head_dim or partial_rotary_factor that is not qk_rope_head_dim's"
    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, width), refused=refused)
