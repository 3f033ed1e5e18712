"""SigLIP 2's vision encoder for images of any shape (arXiv 2502.14786). Source: `Siglip2VisionConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Repeat
from weightscope.components.vision.naflex import FlatPatches, NaflexEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.registry import family
from weightscope.families.siblings.siglip import siglip_block, siglip_pool
from weightscope.roles import Role

SIGLIP2_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "num_patches": 256, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6, "vision_use_head": True,
}  # fmt: skip


@family(
    "siglip2_vision_model",
    roots=("vision_model", ""),
    defaults=SIGLIP2_VISION,
    needs=("hidden_size", "num_hidden_layers"),
)
def siglip2_vision_model(config: Config, root: str) -> NaflexEncoder:
    """SigLIP's layers; a head that pools by attention where `vision_use_head`."""
    s, norm, patch = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"]), config["patch_size"]
    return NaflexEncoder(
        name=root,
        patches=FlatPatches(
            name="embeddings",
            width=s.width,
            values=config["num_channels"] * patch * patch,
            positions=config["num_patches"],
        ),
        blocks=(Repeat(name="encoder.layers", indices=range(s.depth), child=siglip_block(config, s)),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, s.width),
        pooler=siglip_pool(config, s) if config["vision_use_head"] else None,
    )
