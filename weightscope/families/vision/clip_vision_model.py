"""CLIP's vision encoder (arXiv 2103.00020). Source: `CLIPVisionConfig` of transformers."""

from __future__ import annotations

from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.vision_head import VisionHead
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.clip import CLIP_VISION, clip_encoder, projection


@family(
    "clip_vision_model", roots=("vision_model", ""), defaults=CLIP_VISION, needs=("hidden_size", "num_hidden_layers")
)
def clip_vision_model(config: Config, root: str) -> VisionEncoder | VisionHead:
    """A class vector before the patches; a norm before the layers. A class of its own has a matrix on the vector."""
    tower = clip_encoder(config, root)
    if config.prefix or config.architecture != "CLIPVisionModelWithProjection":
        return tower
    return VisionHead(
        tower=tower, head=projection("visual_projection", config["hidden_size"], config["projection_dim"])
    )
