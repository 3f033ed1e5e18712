"""Kimi Linear (arXiv 2510.26692): delta and latent attention, no positions. Source: `KimiLinearConfig`."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, causal_lm, rms_norms
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import first_dense, latent_attention
from weightscope.families.siblings.kimi_linear import LAYOUTS, attending, delta_attention, kimi_mixture
from weightscope.roles import Role

KIMI_LINEAR = DECODER | {
    "vocab_size": 163840, "hidden_size": 2304, "intermediate_size": 9216, "moe_intermediate_size": 1024,
    "num_hidden_layers": 27, "num_attention_heads": 32, "n_shared_experts": 1, "routed_scaling_factor": 2.446,
    "kv_lora_rank": 512, "q_lora_rank": Nullable(int), "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
    "v_head_dim": 128, "n_group": 1, "topk_group": Nullable(int, 1), "num_experts_per_tok": 8, "num_local_experts": 256,
    "norm_topk_prob": True, "hidden_act": "silu", "rms_norm_eps": 1e-5, "attention_bias": False,
    "first_k_dense_replace": 1, "linear_head_dim": 128, "linear_num_heads": 32, "linear_conv_kernel_dim": 4,
    "mla_use_nope": True, "moe_router_activation_func": "sigmoid", "moe_layer_freq": 1, "layer_types": Nullable(list),
    "mlp_layer_types": Nullable(list), "linear_attn_config": Nullable(dict),
}  # fmt: skip
ATTRIBUTES = {
    "moe_renormalize": "norm_topk_prob", "num_expert_group": "n_group", "num_experts": "num_local_experts",
    "num_experts_per_token": "num_experts_per_tok", "num_shared_experts": "n_shared_experts",
}  # fmt: skip
COMPUTED = {"mla_use_nope": True, "moe_router_activation_func": "sigmoid", "moe_layer_freq": 1}


@family("kimi_linear", roots=tuple(LAYOUTS), defaults=KIMI_LINEAR, attribute_map=ATTRIBUTES)
def kimi_linear(config: Config, root: str) -> CausalLM:
    """The class ties nothing, whatever the config says."""
    require(config, "Kimi Linear", COMPUTED)
    width, layout, norm = config["hidden_size"], LAYOUTS[root], rms_norms(config["rms_norm_eps"])
    attends, mixes = attending(config), first_dense(config)
    latent, delta = latent_attention(config, None, root=root), delta_attention(config, layout)

    def layer(i: int) -> Block:
        feed_forward = kimi_mixture(config, layout) if mixes[i] else gated_mlp(config, layout.dense)
        return pre_norm_block(norm, width, attention=latent if attends[i] else delta, feed_forward=feed_forward)

    final_norm = norm("norm", Role.FINAL_NORM, width)
    return causal_lm(config, layout.prefix, layer, final_norm=final_norm, output=Output(tied=False))
