"""OPT (arXiv 2205.01068): learned positions from the third row on. Source: `OPTConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.base import join

OPT: dict[str, Any] = {
    "vocab_size": 50272,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "ffn_dim": 3072,
    "max_position_embeddings": 2048,
    "activation_function": "relu",
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "word_embed_proj_dim": Nullable(int),
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
}
LAYOUT = Layout(
    embedding="embed_tokens",
    positions="embed_positions",
    layers="layers",
    input_norm="self_attn_layer_norm",
    second_norm="final_layer_norm",
    attention="self_attn",
    mlp="",
    matrices=("fc1", "fc2"),
    final_norm="final_layer_norm",
)


@family("opt", roots=("model", ""), defaults=OPT)
def opt(config: Config, root: str) -> CausalLM:
    """OPT-350m norms the sums instead, and its embeddings are narrower than its layers."""
    width, narrow, before = config["hidden_size"], config["word_embed_proj_dim"], config["do_layer_norm_before"]
    bias = config["enable_bias"]
    shape = Shape(
        width=width,
        heads=config["num_attention_heads"],
        depth=depth_of(config),
        inner=config["ffn_dim"],
        eps=1e-5,
        activation=config["activation_function"],
        positions=config["max_position_embeddings"],
        offset=2,
        bias=bias,
        norms_weighted=config["layer_norm_elementwise_affine"],
        norms_sums=not before,
        final=before and not config["_remove_final_layer_norm"],
        narrow=narrow if narrow != width else None,
    )
    names = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
    projections = linears(names, bias=bias)
    return decoder(config, join(root, "decoder"), LAYOUT, shape, projections)
