"""Zamba2 (arXiv 2411.15242): Mamba-2, and blocks that several layers share, each with its own LoRA of them.

Source: `Zamba2Config` of transformers.
"""

from weightscope.components.decoder import CausalLM
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.mamba2 import Mamba2
from weightscope.components.shared import Keep
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, causal_lm, rms_norms
from weightscope.families.common.layer_types import LINEAR
from weightscope.families.registry import family
from weightscope.families.siblings.zamba import HYBRID, ROOTS, kinds_of, prefix_of, zamba_layers
from weightscope.families.siblings.zamba2 import adapted_block, adapted_layers, uncomputed
from weightscope.roles import Role

ZAMBA2 = ROTARY | {
    "tie_word_embeddings": True, "vocab_size": 32000, "max_position_embeddings": 4096, "hidden_size": 2560,
    "num_hidden_layers": 54, "layers_block_type": Nullable(list), "hybrid_layer_ids": Nullable(list),
    "mamba_d_state": 64, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_ngroups": 1, "mamba_headdim": Nullable(int),
    "time_step_min": 0.001, "n_mamba_heads": 8, "add_bias_linear": False, "intermediate_size": Nullable(int),
    "hidden_act": "gelu", "num_attention_heads": 32, "num_key_value_heads": Nullable(int),
    "attention_hidden_size": Nullable(int), "attention_head_dim": Nullable(int), "num_mem_blocks": 1,
    "use_shared_attention_adapter": False, "adapter_rank": 128, "use_mem_rope": False, "rms_norm_eps": 1e-5,
    "use_long_context": False,
}  # fmt: skip
NAMES = {"layer_types": "layers_block_type", "head_dim": "attention_head_dim"}
# The class has no setting for it.
GATED_EPS = 1e-5
# Of the model with 54 layers.
SHARED = {6, 12, 18, 24, 30, 36, 42, 47, 51}


@family("zamba2", roots=ROOTS, defaults=ZAMBA2, attribute_map=NAMES)
def zamba2(config: Config, root: str) -> CausalLM:
    """`num_mem_blocks` blocks in turn, stored in the first layers that they enter. The kernels always have biases."""
    width, heads, bias = config["hidden_size"], config["n_mamba_heads"], config["add_bias_linear"]
    inner, size = config["mamba_expand"] * width, config["mamba_headdim"]
    mixer = Mamba2(
        name="mamba",
        width=width,
        heads=heads,
        head_dim=size or inner // heads,
        groups=config["mamba_ngroups"],
        state=config["mamba_d_state"],
        kernel=config["mamba_d_conv"],
        activation="silu",
        inner=inner,
        norm=GatedRMSNorm(name="norm", size=inner, eps=GATED_EPS, groups=int(config["mamba_ngroups"]), gate_first=True),
        bias=bias,
        out_bias=bias,
        steps=(config["time_step_min"], float("inf")),
    )
    kinds = kinds_of(config, lambda i: HYBRID if i in SHARED else LINEAR)
    blocks, numbered = int(config["num_mem_blocks"]), adapted_layers(config, kinds)
    return causal_lm(
        config,
        prefix_of(root),
        zamba_layers(config, root, kinds, mixer, adapted_block(config, len(numbered), blocks), blocks=blocks),
        enter=Keep(),
        final_norm=rms_norms(config["rms_norm_eps"])("final_layernorm", Role.FINAL_NORM, width),
        refused=uncomputed(config, kinds, mixer),
    )
