"""Step 3.5 (StepFun 2026): gated heads over mixtures, more heads where there is a window.

Source: `Step3p7TextConfig` of transformers, whose model type is step3p5.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, rms_norms
from weightscope.families.common.parts import pre_norm_block
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.step3p5 import (
    ROOTS,
    heads_of,
    kinds_with_ahead,
    mixed_layers,
    step_ahead,
    step_attention,
    step_mixture,
    step_mlp,
)
from weightscope.roles import Role

STEP3P5 = DECODER | {
    "vocab_size": 128815, "hidden_size": 4096, "intermediate_size": 11264, "num_hidden_layers": 45,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 128000,
    "rms_norm_eps": 1e-5, "num_experts_per_tok": 8, "n_routed_experts": 288, "moe_intermediate_size": 1280,
    "share_expert_dim": 1280, "sliding_window": Nullable(int), "num_sliding_attention_heads": Nullable(int),
    "attention_other_setting": Nullable(dict), "per_layer_config": Nullable(dict), "attention_bias": False,
    "mlp_bias": False, "query_pre_attn_scalar": Nullable(float), "moe_router_scaling_factor": 1.0,
    "swiglu_limits": Nullable(list), "swiglu_limits_shared": Nullable(list), "layer_types": Nullable(list),
    "mlp_layer_types": Nullable(list), "moe_layers_enum": Nullable(object), "mtp_layer_types": Nullable(list),
    "mtp_mlp_layer_types": Nullable(list), "num_nextn_predict_layers": Nullable(int, 0),
    "gating": Nullable(object, True), "use_bidirectional_attention": False, "rope_parameters": Nullable(dict),
    "rope_scaling": Nullable(dict),
    "rope_theta": Nullable(object), "partial_rotary_factors": Nullable(list),
}  # fmt: skip
NAMES = {
    "moe_num_experts": "n_routed_experts", "moe_top_k": "num_experts_per_tok",
    "num_attention_groups": "num_key_value_heads", "share_expert_dims": "share_expert_dim",
    "num_mtp_layers": "num_nextn_predict_layers",
}  # fmt: skip


@family("step3p5", roots=tuple(ROOTS), defaults=STEP3P5, attribute_map=NAMES)
def step3p5(config: Config, root: str) -> CausalLM:
    """Layers with a window have other numbers of heads; kinds of layers turn by other angles."""
    norm, width, spelling = rms_norms(config["rms_norm_eps"], offset=1.0), config["hidden_size"], ROOTS[root]
    kinds, mixes, heads = kinds_with_ahead(config), mixed_layers(config), heads_of(config)

    def layer(i: int) -> Block:
        mixed = step_mixture(config, spelling, i) if mixes[i] else step_mlp(config, "mlp", i)
        return pre_norm_block(norm, width, attention=step_attention(config, kinds, i, heads(i)), feed_forward=mixed)

    return causal_lm(
        config,
        spelling.prefix,
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, width),
        extras=step_ahead(config, spelling, layer),
        refused=not_computed(config, "Step 3.5", {"use_bidirectional_attention": False}),
    )
