"""DINOv2 (arXiv 2304.07193), with registers too. Sources: `Dinov2Config` and `Dinov2WithRegistersConfig`."""

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
from weightscope.families.registry import family
from weightscope.families.siblings.vit import BY_BERT, HELD, NEEDS, VIT, classes, vit_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

DINO = VIT | {"mlp_ratio": 4, "layer_norm_eps": 1e-6, "patch_size": 14, "use_swiglu_ffn": False}
ROOTS = ("as published", "as transformers 5 holds it")
GATED = {"gate_proj": Role.GATE_PROJ, "up_proj": Role.UP_PROJ, "down_proj": Role.DOWN_PROJ}
FUSED = (
    Linear("weights_in", Role.GATE_PROJ, Role.UP_PROJ, bias=True),
    Linear("weights_out", Role.DOWN_PROJ, bias=True),
)


@family("dinov2", roots=ROOTS, defaults=DINO | {"use_mask_token": True}, needs=NEEDS)
def dinov2(config: Config, root: str) -> NormedEncoder:
    """Without registers."""
    return encoder(config, root, "dinov2", masked=config["use_mask_token"], registers=None)


@family("dinov2_with_registers", roots=ROOTS, defaults=DINO | {"num_register_tokens": 4}, needs=NEEDS)
def dinov2_with_registers(config: Config, root: str) -> NormedEncoder:
    """With registers."""
    return encoder(config, root, "dinov2_with_registers", masked=True, registers=config["num_register_tokens"])


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
        head=classes(config, s.width * 2) if config.task else None,
        means=bool(config.task),
    )


def feed_forward(config: Config, width: Size, *, published: bool) -> Component:
    """Two matrices, or three of two thirds of the size, up to a multiple of 8."""
    inner = width * config["mlp_ratio"]
    if not config["use_swiglu_ffn"]:
        return mlp(width, inner, config["hidden_act"], names=("fc1", "fc2"), bias=True)
    items = FUSED if published else linears(GATED, bias=True)
    return GatedMLP(name="mlp", items=items, width=width, inner=(inner * 2 // 3 + 7) // 8 * 8, activation="silu")
