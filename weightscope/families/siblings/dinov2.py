"""DINOv2's layers and tower (arXiv 2304.07193), as published and as transformers 5 holds them."""

from __future__ import annotations

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.layer_scale import LayerScale
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp
from weightscope.families.siblings.vit import BY_BERT, HELD, classes, vit_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

ROOTS = ("as published", "as transformers 5 holds it")
GATED = {"gate_proj": Role.GATE_PROJ, "up_proj": Role.UP_PROJ, "down_proj": Role.DOWN_PROJ}
FUSED = (
    Linear("weights_in", Role.GATE_PROJ, Role.UP_PROJ, bias=True),
    Linear("weights_out", Role.DOWN_PROJ, bias=True),
)


def encoder(config: Config, root: str, below: str, *, masked: bool, registers: Size | None) -> NormedEncoder:
    """What each half of a layer adds is scaled; with classes the tower lies `below` a name of its own."""
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    if config.task not in ("", "ImageClassification"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    above, published = f"{below}." if config.task else "", root == ROOTS[0]
    block = Block(
        input_norm=norm("norm1", Role.INPUT_NORM, s.width),
        attention=vit_attention(config, s, BY_BERT if published else HELD),
        attention_out_norm=LayerScale(parameter="layer_scale1.lambda1", size=s.width),
        feed_forward_norm=norm("norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=feed_forward(config, s.width, published=published),
        feed_forward_out_norm=LayerScale(parameter="layer_scale2.lambda1", size=s.width),
    )
    return NormedEncoder(
        name="",
        patches=MarkedPatches(
            name=f"{above}embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            registers=registers,
            mask=1 if masked else None,
        ),
        pre_norm=None,
        blocks=(Repeat(name=f"{above}encoder.layer", indices=range(s.depth), child=block),),
        post_norm=norm(f"{above}layernorm", Role.FINAL_NORM, s.width),
        head=classes(config, s.width * 2, of="first and mean") if config.task else None,
    )


def feed_forward(config: Config, width: Size, *, published: bool) -> Component:
    """Two matrices, or three of two thirds of the size, up to a multiple of 8."""
    inner = width * config["mlp_ratio"]
    if not config["use_swiglu_ffn"]:
        return mlp(width, inner, config["hidden_act"], names=("fc1", "fc2"), bias=True)
    items = FUSED if published else linears(GATED, bias=True)
    return GatedMLP(name="mlp", items=items, width=width, inner=(inner * 2 // 3 + 7) // 8 * 8, activation="silu")
