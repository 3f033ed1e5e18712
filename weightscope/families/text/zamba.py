"""Zamba (arXiv 2405.16712): Mamba in heads, and one block of attention in every sixth layer. Source: `ZambaConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.components.recurrent.mamba_heads import HeadedMamba
from weightscope.components.shared import Keep
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, rms_norms
from weightscope.families.common.layer_types import LINEAR
from weightscope.families.common.parts import four_projections, gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.state_space import step_rank
from weightscope.families.siblings.zamba import (
    HYBRID,
    ROOTS,
    kinds_of,
    prefix_of,
    shared_attention,
    shared_block,
    zamba_layers,
)
from weightscope.roles import Role

ZAMBA = DECODER | {
    "tie_word_embeddings": True, "vocab_size": 32000, "hidden_size": 3712, "attention_hidden_size": Nullable(int),
    "intermediate_size": 14848, "num_hidden_layers": 76, "num_attention_heads": 16, "attention_head_dim": Nullable(int),
    "num_key_value_heads": 16, "n_mamba_heads": 2, "hidden_act": "gelu", "hidden_mamba_act": "silu",
    "rms_norm_eps": 1e-5, "attn_layer_period": 6, "attn_layer_offset": 4, "mamba_d_state": 16, "mamba_d_conv": 4,
    "mamba_expand": 2, "mamba_dt_rank": Nullable(object), "mamba_conv_bias": True, "mamba_proj_bias": False,
    "layers_block_type": Nullable(list),
}  # fmt: skip
NAMES = {"layer_types": "layers_block_type", "head_dim": "attention_head_dim"}


@family("zamba", roots=ROOTS, defaults=ZAMBA, attribute_map=NAMES)
def zamba(config: Config, root: str) -> CausalLM:
    """The block is stored in the first of the layers that it enters. No positions."""
    width, every, offset = config["hidden_size"], config["attn_layer_period"], config["attn_layer_offset"]
    block = shared_block(
        config, "shared_transf", shared_attention(config, four_projections()), gated_mlp(config, "feed_forward")
    )
    mixer = HeadedMamba(
        name="mamba",
        width=width,
        inner=config["mamba_expand"] * width,
        heads=config["n_mamba_heads"],
        state=config["mamba_d_state"],
        rank=step_rank(config, "mamba_dt_rank"),
        kernel=config["mamba_d_conv"],
        activation=config["hidden_mamba_act"],
        bias=config["mamba_proj_bias"],
        kernel_bias=config["mamba_conv_bias"],
    )
    kinds = kinds_of(config, lambda i: HYBRID if i == 2 or (i > 2 and (i - 3) % every == offset) else LINEAR)
    return causal_lm(
        config,
        prefix_of(root),
        zamba_layers(config, root, kinds, mixer, lambda *_: block),
        enter=Keep(),
        final_norm=rms_norms(config["rms_norm_eps"])("final_layernorm", Role.FINAL_NORM, width),
    )
