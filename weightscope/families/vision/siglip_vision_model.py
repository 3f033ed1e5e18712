"""SigLIP's vision encoder (arXiv 2303.15343). Source: `SiglipVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.vision.attention_pool import AttentionPool
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

SIGLIP_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "vision_use_head": True,
}  # fmt: skip
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


@family(
    "siglip_vision_model",
    roots=("vision_model", ""),
    defaults=SIGLIP_VISION,
    needs=("hidden_size", "num_hidden_layers"),
)
def siglip_vision_model(config: Config, root: str) -> VisionEncoder:
    """No class vector; a head that pools by attention where `vision_use_head`."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True)
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(PROJECTIONS, bias=True), sees=Segments("image")),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=feed_forward,
    )
    pooler = AttentionPool(
        name="head",
        width=s.width,
        heads=s.heads,
        norm=norm("layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=feed_forward,
    )
    return VisionEncoder(
        name=root,
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
        pooler=pooler if config["vision_use_head"] else None,
    )
