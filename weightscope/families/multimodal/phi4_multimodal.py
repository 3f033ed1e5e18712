"""Phi-4-multimodal (arXiv 2503.01743): SigLIP's tower, a conformer that is named and counted, Phi-3's decoder.

Source: `Phi4MultimodalConfig` of transformers; as Microsoft publishes it, the type is phi4mm.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.projection import Projection
from weightscope.components.vision.framed_eye import FramedBridge, FramedEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.phi3 import PHI3, phi3_decoder
from weightscope.families.siblings.phi4_audio import PHI4_AUDIO, audio_embedding
from weightscope.families.siblings.siglip import siglip_tower
from weightscope.storage.base import join

VISION: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "num_channels": 3, "image_size": 448, "patch_size": 14, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "crop_size": 448, "image_token_id": 200010, "feature_layer": Nullable(object, -2),
}  # fmt: skip
PHI4 = PHI3 | {
    "vocab_size": 200064, "num_key_value_heads": Nullable(int, 8), "max_position_embeddings": 131072,
    "original_max_position_embeddings": Nullable(int, 4096),
}  # fmt: skip


@family("phi4_multimodal", roots=("model", ""), defaults=PHI4)
def phi4_multimodal(config: Config, root: str) -> VisionLanguage:
    """Features of `feature_layer` of the tower, tiles and then the whole image."""
    vision, audio = part(config, "vision_config", VISION), part(config, "audio_config", PHI4_AUDIO)
    model, within = phi3_decoder(config, root), join(root, "embed_tokens_extend.image_embed")
    tower, width = siglip_tower(vision, f"{within}.img_processor", pools=True), config["hidden_size"]
    layer = vision["feature_layer"]
    if not isinstance(layer, int) or not -tower.depth - 1 <= layer <= tower.depth:
        raise config.error(f"vision_config.feature_layer is {layer!r:.60}, and there are {tower.depth:,} layers")
    up = Projection(name="img_projection_up", inputs=vision["hidden_size"], outputs=width, bias=True)
    down = Projection(name="img_projection_down", inputs=width, outputs=width, bias=True)
    return VisionLanguage(
        eye=FramedEye(
            tower=tower,
            bridge=FramedBridge(name=within, up=up, down=down),
            layer=int(layer),
            crop=int(vision["crop_size"]),
        ),
        language=Group(parts=(model,)),
        image_token=int(vision["image_token_id"]),
        other_tokens=((int(audio["audio_token_id"]), "audio"),),
        unused=(audio_embedding(audio, width, join(root, "embed_tokens_extend.audio_embed")),),
    )
