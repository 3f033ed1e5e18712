"""InternVL's vision encoder as transformers has it. Source: `InternVLVisionConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.vit_encoder import WholeNormEncoder
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.registry import family
from weightscope.families.siblings.internvit import Names, encoder
from weightscope.roles import Role
from weightscope.storage.linear import Linear

INTERNVL_VISION: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_channels": 3, "image_size": [448, 448], "patch_size": [14, 14], "hidden_act": "gelu",
    "norm_type": "layer_norm", "layer_norm_eps": 1e-6, "attention_bias": False, "use_qk_norm": False,
    "use_mean_pooling": True, "use_mask_token": False, "use_absolute_position_embeddings": True,
}  # fmt: skip
NAMES = Names(
    class_vector="cls_token",
    kernel="patch_embeddings.projection",
    positions="position_embeddings",
    layers="encoder.layer",
    attention="attention",
    norms=("layernorm_before", "layernorm_after"),
    scales=("lambda_1", "lambda_2"),
)


@family("internvl_vision", roots=("",), defaults=INTERNVL_VISION, needs=("hidden_size", "num_hidden_layers"))
def internvl_vision(config: Config, root: str) -> WholeNormEncoder:
    """A last norm unless `use_mean_pooling`."""
    for key, value in (("use_mask_token", False), ("use_absolute_position_embeddings", True)):
        if config[key] is not value:
            raise config.undeclared(f"{key} {config[key]} is not declared")
    bias = config["attention_bias"]
    projections = (
        Linear("q_proj", Role.Q_PROJ, bias=bias),
        Linear("k_proj", Role.K_PROJ, bias=bias),
        Linear("v_proj", Role.V_PROJ, bias=bias),
        Linear("projection_layer", Role.O_PROJ, bias=True),
    )
    norm = layer_norms(config["layer_norm_eps"])("layernorm", Role.FINAL_NORM, config["hidden_size"])
    return encoder(
        config,
        root,
        NAMES,
        projections,
        normed=config["use_qk_norm"],
        last_norm=None if config["use_mean_pooling"] else norm,
    )
