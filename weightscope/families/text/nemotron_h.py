"""Nemotron-H (arXiv 2504.03624) and Nemotron 3: each layer one mixer or MLP. Source: `NemotronHConfig`."""

from weightscope.components.decoder import CausalLM, Decoder
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, numbered, rms_norms, token_embedding
from weightscope.families.registry import family
from weightscope.families.siblings.nemotron_h import IN_MEMORY, SWITCH, nemotron_ahead, nemotron_kinds, nemotron_layer
from weightscope.roles import Role

NEMOTRON_H = DECODER | {
    "vocab_size": 131072, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": Nullable(int, 8),
    "head_dim": 128, "attention_bias": False, "intermediate_size": 21504, "mlp_hidden_act": "relu2", "mlp_bias": False,
    "ssm_state_size": 128, "mamba_num_heads": 128, "mamba_head_dim": 64, "mamba_hidden_act": "silu", "n_groups": 8,
    "conv_kernel": 4, "time_step_min": 0.001, "use_conv_bias": True, "use_bias": False, "n_routed_experts": 8,
    "moe_intermediate_size": 7688, "moe_shared_expert_intermediate_size": 7688, "moe_latent_size": Nullable(int),
    "num_experts_per_tok": 2, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
    "num_nextn_predict_layers": Nullable(int, 0), "mtp_layers_block_type": Nullable(list),
    "layers_block_type": Nullable(list), "hybrid_override_pattern": Nullable(str),
    "mtp_hybrid_override_pattern": Nullable(str), "layer_norm_epsilon": 1e-5,
}  # fmt: skip
# Beside the class's own map, the names under which NVIDIA published some keys first.
ATTRIBUTES = {
    "layer_types": "layers_block_type", "num_local_experts": "n_routed_experts", "mamba_n_groups": "n_groups",
    "mamba_d_conv": "conv_kernel", "mamba_dt_min": "time_step_min", "mamba_conv_bias": "use_conv_bias",
}  # fmt: skip
# A state dict of transformers 5 has another root than what is published, and experts stacked.
STACKED = "model, experts stacked"
BY_MLX = "backbone, experts stacked by MLX"
STACKS = {STACKED: IN_MEMORY, BY_MLX: SWITCH}


@family(
    "nemotron_h",
    roots=("backbone", "", "model", STACKED, BY_MLX),
    defaults=NEMOTRON_H,
    attribute_map=ATTRIBUTES,
    needs=("vocab_size", "hidden_size"),
)
def nemotron_h(config: Config, root: str) -> CausalLM:
    """The number of layers is that of the listed ones; the class ties nothing, whatever the config says."""
    (prefix, _, _), kinds, stacked = root.partition(", "), nemotron_kinds(config), STACKS.get(root)
    norm = rms_norms(config["layer_norm_epsilon"])
    decoder = Decoder(
        name=prefix,
        embedding=token_embedding(config, "embeddings"),
        blocks=numbered("layers", len(kinds), lambda i: nemotron_layer(config, kinds[i], stacked=stacked)),
        final_norm=norm("norm_f", Role.FINAL_NORM, config["hidden_size"]),
        depth=len(kinds),
    )
    head = Output(tied=False).of(config, prefix, config["hidden_size"])
    return CausalLM(decoder=decoder, head=head, extras=() if root == BY_MLX else nemotron_ahead(config))
