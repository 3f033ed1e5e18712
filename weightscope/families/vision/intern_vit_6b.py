"""InternViT as OpenGVLab publishes it (arXiv 2312.14238), of any size.

Source: `InternVisionConfig` and `InternVisionModel` of OpenGVLab/InternViT-300M-448px.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.vit_encoder import WholeNormEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.internvit import Names, encoder
from weightscope.roles import Role
from weightscope.storage.linear import Linear

INTERN_VIT: dict[str, Any] = {
    "hidden_size": 3200, "intermediate_size": 12800, "num_hidden_layers": 48, "num_attention_heads": 25,
    "num_channels": 3, "image_size": 224, "patch_size": 14, "hidden_act": "gelu", "norm_type": "rms_norm",
    "layer_norm_eps": 1e-6, "qkv_bias": False, "qk_normalization": True,
}  # fmt: skip
NAMES = Names(
    class_vector="class_embedding",
    kernel="patch_embedding",
    positions="position_embedding",
    layers="encoder.layers",
    attention="attn",
    norms=("norm1", "norm2"),
    scales=("ls1", "ls2"),
)


@family("intern_vit_6b", roots=("",), defaults=INTERN_VIT, needs=("hidden_size", "num_hidden_layers"))
def intern_vit_6b(config: Config, root: str) -> WholeNormEncoder:
    """Queries, keys and values are one matrix; there is no last norm."""
    projections = (
        Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=config["qkv_bias"]),
        Linear("proj", Role.O_PROJ, bias=True),
    )
    return encoder(config, root, NAMES, projections, normed=config["qk_normalization"])
