"""DINOv3 (arXiv 2508.10104): layers rotate by where a patch lies in the image. Source: `DINOv3ViTConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention, Heads, Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.layer_scale import LayerScale
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.components.vision.normed_encoder import CentredEncoder
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.dims import depth_of
from weightscope.families.common.parts import gated_mlp, mlp
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

DINOV3: dict[str, Any] = {
    "patch_size": 16, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6,
    "hidden_act": "gelu", "layer_norm_eps": 1e-5, "rope_theta": 100.0, "image_size": 224, "num_channels": 3,
    "query_bias": True, "key_bias": False, "value_bias": True, "proj_bias": True, "mlp_bias": True,
    "use_gated_mlp": False, "num_register_tokens": 0,
}  # fmt: skip
# What a root stands for: the layers' name.
SPELLINGS = {"as published": "layer", "as transformers 5 holds it": "model.layer"}


@family("dinov3_vit", roots=tuple(SPELLINGS), defaults=DINOV3, needs=("hidden_size", "num_hidden_layers"))
def dinov3_vit(config: Config, root: str) -> CentredEncoder:
    """Each matrix of the attention has a bias or none of its own."""
    width, count, norm = config["hidden_size"], config["num_attention_heads"], layer_norms(config["layer_norm_eps"])
    if width % (4 * count):
        raise config.error(f"{width.text} {width:,} must be a multiple of 4 · {count.text} ({count:,})")
    if config.task:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    block = Block(
        input_norm=norm("norm1", Role.INPUT_NORM, width),
        attention=Attention(
            name="attention",
            projections=(
                Linear("q_proj", Role.Q_PROJ, bias=config["query_bias"]),
                Linear("k_proj", Role.K_PROJ, bias=config["key_bias"]),
                Linear("v_proj", Role.V_PROJ, bias=config["value_bias"]),
                Linear("o_proj", Role.O_PROJ, bias=config["proj_bias"]),
            ),
            width=width,
            heads=Heads(count=count, keys=count, size=width // count),
            positions=Axial(dim=int(width // count), theta=float(config["rope_theta"])),
            sees=Segments("image"),
        ),
        attention_out_norm=LayerScale(parameter="layer_scale1.lambda1", size=width),
        feed_forward_norm=norm("norm2", Role.POST_ATTENTION_NORM, width),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"])
        if config["use_gated_mlp"]
        else mlp(width, config["intermediate_size"], config["hidden_act"], bias=config["mlp_bias"]),
        feed_forward_out_norm=LayerScale(parameter="layer_scale2.lambda1", size=width),
    )
    return CentredEncoder(
        name="",
        patches=MarkedPatches(
            name="embeddings",
            projection="patch_embeddings",
            width=width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            registers=config["num_register_tokens"],
            mask=2,
            learned=False,
        ),
        pre_norm=None,
        blocks=(Repeat(name=SPELLINGS[root], indices=range(depth_of(config)), child=block),),
        post_norm=norm("norm", Role.FINAL_NORM, width),
    )
