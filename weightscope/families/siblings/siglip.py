"""SigLIP's vision encoder and its parts, for every class that has its keys (arXiv 2303.15343)."""

from __future__ import annotations

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.vision.attention_pool import AttentionPool
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.roles import Role

PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


def siglip_tower(config: Config, name: str, *, pools: bool) -> VisionEncoder:
    """The encoder under a name, for any class that has SigLIP's keys and layers."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    block = siglip_block(config, s)
    return VisionEncoder(
        name=name,
        patches=PatchEmbedding(
            name="embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            class_token=False,
            bias=True,
        ),
        pre_norm=None,
        blocks=(Repeat(name="encoder.layers", indices=range(s.depth), child=block),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, s.width),
        pooler=siglip_pool(config, s) if pools else None,
    )


def siglip_block(config: Config, s: Dims) -> Block:
    """A norm before each half; a patch sees its whole image."""
    norm = layer_norms(config["layer_norm_eps"])
    return Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(PROJECTIONS, bias=True), sees=Segments("image")),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=siglip_mlp(config, s),
    )


def siglip_mlp(config: Config, s: Dims) -> MLP:
    """Two matrices, `intermediate_size` wide."""
    return mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True)


def siglip_pool(config: Config, s: Dims) -> AttentionPool:
    """One vector of an image's, by attention."""
    norm = layer_norms(config["layer_norm_eps"])
    return AttentionPool(
        name="head",
        width=s.width,
        heads=s.heads,
        norm=norm("layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=siglip_mlp(config, s),
    )
