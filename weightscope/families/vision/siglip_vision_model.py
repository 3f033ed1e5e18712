"""SigLIP's vision encoder (arXiv 2303.15343). Source: `SiglipVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.encoder import VisionEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.siglip import siglip_tower

SIGLIP_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_channels": 3, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "vision_use_head": True,
}  # fmt: skip


@family(
    "siglip_vision_model",
    roots=("vision_model", ""),
    defaults=SIGLIP_VISION,
    needs=("hidden_size", "num_hidden_layers"),
)
def siglip_vision_model(config: Config, root: str) -> VisionEncoder:
    """No class vector; a head that pools by attention where `vision_use_head`."""
    return siglip_tower(config, root, pools=config["vision_use_head"])
