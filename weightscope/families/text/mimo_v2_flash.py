"""MiMo-V2-Flash (Xiaomi 2025, arXiv 2601.02780): windows with sinks over a mixture. Source: `MiMoV2FlashConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, causal_lm, rms_norms
from weightscope.families.common.layer_types import FULL, SLIDING
from weightscope.families.common.mixtures import ROOTS, STACKED, spelling
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed, refuse, require
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import deepseek_mixture
from weightscope.families.siblings.mimo_v2 import mimo_attention, mimo_mixed, mimo_windows
from weightscope.roles import Role

MIMO_V2_FLASH = LLAMA | {
    "vocab_size": 152576, "intermediate_size": 16384, "num_hidden_layers": 48, "num_attention_heads": 64,
    "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128, "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5, "rope_theta": 5000000.0, "partial_rotary_factor": 0.334, "moe_intermediate_size": 2048,
    "num_experts_per_tok": 8, "n_routed_experts": 256, "routed_scaling_factor": Nullable(float, 1.0), "n_group": 1,
    "topk_group": 1, "norm_topk_prob": True, "sliding_window": 129, "sliding_window_size": Nullable(int),
    "layer_types": Nullable(list), "mlp_layer_types": Nullable(list), "attention_value_scale": Nullable(float, 0.707),
    # Only in Xiaomi's own code, whose configs are the published ones.
    "swa_num_attention_heads": Nullable(int), "swa_num_key_value_heads": Nullable(int), "swa_head_dim": Nullable(int),
    "swa_v_head_dim": Nullable(int), "swa_rope_theta": 10000.0, "hybrid_layer_pattern": Nullable(list),
    "moe_layer_freq": Nullable(list), "add_swa_attention_sink_bias": True, "add_full_attention_sink_bias": False,
    "n_shared_experts": Nullable(int), "scoring_func": "sigmoid",
}  # fmt: skip
ATTRIBUTES = {"num_local_experts": "n_routed_experts", "layernorm_epsilon": "rms_norm_eps"}


@family("mimo_v2_flash", roots=ROOTS, defaults=MIMO_V2_FLASH, attribute_map=ATTRIBUTES)
def mimo_v2_flash(config: Config, root: str) -> CausalLM:
    """Layers with a window have sinks, more key heads and a faster rotation; `o_proj` has no bias."""
    refuse(config, "MiMo-V2-Flash", ["n_shared_experts"])
    require(config, "MiMo-V2-Flash", {"scoring_func": "sigmoid"})
    norm, width, (prefix, stacked) = rms_norms(config["rms_norm_eps"]), config["hidden_size"], spelling(root)
    sinks = "sinks" if root == STACKED else "attention_sink_bias"
    attention = {kind: mimo_attention(config, kind, sinks=sinks) for kind in (FULL, SLIDING)}
    mixed, dense = deepseek_mixture(config, stacked=stacked), gated_mlp(config, "mlp")
    kinds, mixes = mimo_windows(config), mimo_mixed(config)

    def layer(i: int) -> Block:
        return pre_norm_block(norm, width, attention=attention[kinds[i]], feed_forward=mixed if mixes[i] else dense)

    # Its own code reads it, and the class does not.
    refused = not_computed(config, "MiMo-V2-Flash", {"rope_scaling": None})
    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, width), refused=refused)
