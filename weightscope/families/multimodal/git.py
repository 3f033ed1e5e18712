"""GIT (arXiv 2205.14100): CLIP's tower before BERT's layers, which write. Source: `GitConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.projection import Projection
from weightscope.components.vision.crops import CropEye
from weightscope.components.vision.leading_image import LeadingImage, NormedBridge
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.registry import family
from weightscope.families.siblings.blip import NO_TOKEN
from weightscope.families.siblings.clip import CLIP_VISION, clip_encoder
from weightscope.families.siblings.git import frames, language_model
from weightscope.roles import Role
from weightscope.storage.base import join

GIT: dict[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 1024, "layer_norm_eps": 1e-12,
    "tie_word_embeddings": False, "num_image_with_embedding": Nullable(int), "architectures": Nullable(list),
    # No field of the class, but transformers' masks obey it of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
GIT_VISION: dict[str, Any] = CLIP_VISION | {"patch_size": 16}


@family("git", roots=("git", ""), defaults=GIT, needs=("hidden_size", "vision_config"))
def git(config: Config, root: str) -> LeadingImage:
    """All features of the tower, the class vector's too, stand before the text; vectors of frames are for videos."""
    # The tower's class asks for no mask, whatever its config says.
    vision = replaced(part(config, "vision_config", {}), is_causal=None).with_defaults(GIT_VISION)
    tower = clip_encoder(vision, join(root, "image_encoder.vision_model"))
    width, norm = tower.patches.width, layer_norms(vision["layer_norm_eps"])
    model = language_model(config, root)
    outputs = model.decoder.embedding.width
    bridge = NormedBridge(
        name=join(root, "visual_projection.visual_projection"),
        matrix=Projection(name="0", inputs=width, outputs=outputs, bias=True),
        norm=norm("1", Role.PROJECTOR_NORM, outputs),
    )
    return LeadingImage(
        eye=CropEye(tower=tower, bridge=bridge, each=int(tower.patches.positions), whole=True, normed=True),
        language=Group(name="", parts=(model,)),
        image_token=NO_TOKEN,
        images_whole="everywhere",
        places=int(config["max_position_embeddings"]),
        unused=frames(config, root, width),
    )
