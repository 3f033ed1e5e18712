"""LongCat-Flash (Meituan 2025, arXiv 2509.01322): two latent attentions a layer, a mixture past them, zero experts.

Source: `LongcatFlashConfig` of transformers.
"""

from msgspec.structs import replace

from weightscope.components.decoder import CausalLM
from weightscope.components.shortcut import ShortcutBlock
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, depth_of, rms_norms, rotary
from weightscope.families.common.mixtures import LATENT_ROOTS, STACKED, spelling
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import latent_attention, turns_in_part
from weightscope.families.siblings.longcat import agree, longcat_mixture
from weightscope.roles import Role

LONGCAT_FLASH = ROTARY | {
    "vocab_size": 131072, "hidden_size": 6144, "num_layers": 28, "num_hidden_layers": Nullable(int),
    "num_attention_heads": 64, "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
    "rope_theta": 10000000.0, "attention_bias": False, "ffn_hidden_size": 12288, "q_lora_rank": 1536,
    "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "head_dim": 64,
    "qk_head_dim": Nullable(int), "moe_topk": 12,
    "n_routed_experts": 512, "zero_expert_num": Nullable(int, 256), "expert_ffn_hidden_size": 2048,
    "routed_scaling_factor": 6.0, "router_bias": False,
    # Only in Meituan's own code.
    "zero_expert_type": "identity", "mla_scale_q_lora": True, "mla_scale_kv_lora": True,
}  # fmt: skip
ATTRIBUTES = {
    "num_local_experts": "n_routed_experts", "num_experts_per_tok": "moe_topk", "intermediate_size": "ffn_hidden_size",
    "moe_intermediate_size": "expert_ffn_hidden_size",
}  # fmt: skip
NEEDS = ("vocab_size", "hidden_size", "num_layers", "num_attention_heads")
COMPUTED = {"router_bias": False, "zero_expert_type": "identity", "mla_scale_q_lora": True, "mla_scale_kv_lora": True}


@family("longcat_flash", roots=LATENT_ROOTS, defaults=LONGCAT_FLASH, attribute_map=ATTRIBUTES, needs=NEEDS)
def longcat_flash(config: Config, root: str) -> CausalLM:
    """`num_hidden_layers`, where a config has it, counts the attentions: two a layer."""
    (prefix, stacked), width, norm = spelling(root), config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=True)
    agree(config)
    if stacked and root == STACKED:
        # It has gate and up for zero experts as well.
        stacked = replace(stacked, spared=stacked.items[:1])
    block = ShortcutBlock(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=replace(
            latent_attention(config, rope, root=root),
            q_scale=float(width / config["q_lora_rank"]) ** 0.5,
            kv_scale=float(width / config["kv_lora_rank"]) ** 0.5,
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=gated_mlp(config, "mlps"),
        mixture=longcat_mixture(config, stacked=stacked),
    )
    layers = depth_of(config, "num_layers") if config["num_hidden_layers"] is None else depth_of(config) // 2
    refused = not_computed(config, "LongCat-Flash", COMPUTED)
    if config["head_dim"] != config["qk_rope_head_dim"]:
        refused = "LongCat-Flash with a head_dim other than qk_rope_head_dim"
    else:
        refused = turns_in_part(config, rope, "LongCat-Flash") or refused
    final_norm = norm("norm", Role.FINAL_NORM, width)
    return causal_lm(config, prefix, lambda _: block, depth=layers, final_norm=final_norm, refused=refused)
