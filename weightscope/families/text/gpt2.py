"""GPT-2 (Radford et al. 2019). Source: `GPT2Config` and OpenAI's checkpoints, whose names have no root."""

from __future__ import annotations

from typing import Any

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.gpt_like import Layout, Shape, decoder
from weightscope.families.common.parts import causal_masks
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Conv1D

GPT2: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": Nullable(int),
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "add_cross_attention": False,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}
ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}


@family(
    "gpt2",
    roots=("transformer", ""),
    defaults=GPT2,
    aliases=ALIASES,
    needs=("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"),
)
def gpt2(config: Config, root: str) -> CausalLM:
    """Conv1D matrices are stored (in, out); old checkpoints carry the causal mask as a buffer `bias`."""
    if config["add_cross_attention"]:
        raise UndeclaredError("GPT-2 with add_cross_attention is not declared", where=config.source)
    width, heads, positions = config["n_embd"], config["n_head"], config["n_positions"]
    scale = (width // heads) ** -0.5 if config["scale_attn_weights"] else 1.0
    falls = config["scale_attn_by_inverse_layer_idx"]
    shape = Shape(
        width=width,
        heads=heads,
        depth=depth_of(config, "n_layer"),
        inner=config["n_inner"] or width * 4,
        eps=config["layer_norm_epsilon"],
        activation=config["activation_function"],
        positions=positions,
    )
    projections = (
        Conv1D("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
        Conv1D("c_proj", Role.O_PROJ, bias=True),
        *causal_masks(positions),
    )
    return decoder(
        config,
        root,
        Layout(positions="wpe", linear=Conv1D),
        shape,
        projections,
        by_layer=lambda layer: (("scale", scale / (layer + 1) if falls else scale),),
        heads={"tagger": "classifier"},
    )
