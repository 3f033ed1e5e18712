"""Phi-4-multimodal's eye and language model, as transformers 5 and as Microsoft spell it."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.projection import Projection
from weightscope.components.vision.framed_eye import FramedBridge, FramedEye, PublishedFramedEye
from weightscope.config import Config, Nullable
from weightscope.families.siblings.phi3 import PHI3
from weightscope.families.siblings.siglip import siglip_tower
from weightscope.sizes import Size

PHI4: dict[str, Any] = PHI3 | {
    "vocab_size": 200064, "num_key_value_heads": Nullable(int, 8), "max_position_embeddings": 131072,
    "original_max_position_embeddings": Nullable(int, 4096),
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "num_channels": 3, "image_size": 448, "patch_size": 14, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "crop_size": 448, "image_token_id": 200010, "feature_layer": Nullable(object, -2),
}  # fmt: skip


class Names(NamedTuple):
    """Of the vectors behind rows and between tiles and whole, and of the two matrices.

    The `kind` of eye has those of the processor's arrays.
    """

    newline: str
    between: str
    up: str
    down: str
    kind: type[FramedEye]


HELD = Names(
    "sub_img_feature_extensor", "global_img_feature_extensor", "img_projection_up", "img_projection_down", FramedEye
)
PUBLISHED = Names("sub_GN", "glb_GN", "img_projection.0", "img_projection.2", PublishedFramedEye)


def eye(vision: Config, width: Size, name: str, names: Names) -> FramedEye:
    """Features of `feature_layer` of SigLIP's tower below `name`, through two matrices.

    Raises:
        ConfigError: the tower has no such layer.
    """
    tower, layer = siglip_tower(vision, f"{name}.img_processor", pools=True), vision["feature_layer"]
    if not isinstance(layer, int) or not -tower.depth - 1 <= layer <= tower.depth:
        raise vision.error(f"feature_layer is {layer!r:.60}, but num_hidden_layers of vision_config is {tower.depth:,}")
    return names.kind(
        tower=tower,
        bridge=FramedBridge(
            name=name,
            newline=names.newline,
            between=names.between,
            up=Projection(name=names.up, inputs=vision["hidden_size"], outputs=width, bias=True),
            down=Projection(name=names.down, inputs=width, outputs=width, bias=True),
        ),
        layer=int(layer),
        crop=int(vision["crop_size"]),
    )
