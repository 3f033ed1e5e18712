"""Solar Open (Upstage 2025): grouped attention over DeepSeek-V3's mixture in every layer. Source: `SolarOpenConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.mixtures import ROOTS, spelling
from weightscope.families.common.parts import four_projections, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import deepseek_mixture
from weightscope.roles import Role

SOLAR_OPEN = LLAMA | {
    "vocab_size": 196608, "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0,
    "moe_intermediate_size": 1280, "num_experts_per_tok": 8, "n_shared_experts": 1, "n_routed_experts": 128,
    "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
    # No field of the class, but it makes angles for that share of a head.
    "partial_rotary_factor": 1.0,
}  # fmt: skip


@family("solar_open", roots=ROOTS, defaults=SOLAR_OPEN, attribute_map={"num_local_experts": "n_routed_experts"})
def solar_open(config: Config, root: str) -> CausalLM:
    """Biases are on queries, keys and values alone."""
    s, norm, (prefix, stacked) = Dims.of(config), rms_norms(config["rms_norm_eps"]), spelling(root)
    rope, projections = rotary(config, s.head_dim), four_projections(qkv_bias=config["attention_bias"])
    attention = self_attention(s, projections, positions=rope, sees=visible(config))
    # Of a share of what turns the class makes fewer angles than there are pairs.
    refused = "" if rope.dim == s.head_dim else "Solar Open with a partial_rotary_factor below 1"
    mixed = deepseek_mixture(config, stacked=stacked)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mixed)
    final_norm = norm("norm", Role.FINAL_NORM, s.width)
    return causal_lm(config, prefix, lambda _: block, final_norm=final_norm, refused=refused)
