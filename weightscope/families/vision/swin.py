"""Swin (arXiv 2103.14030). Source: `SwinConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.vision.plane_patches import PaddedPatches
from weightscope.components.vision.staged import StagedEncoder
from weightscope.config import Config
from weightscope.families.common import layer_norms
from weightscope.families.common.refusals import refuse_backbone
from weightscope.families.registry import family
from weightscope.families.siblings.swin import ROOTS, stages_of
from weightscope.families.siblings.vit import classes, pixels
from weightscope.roles import Role

SWIN: dict[str, Any] = {
    "image_size": 224, "patch_size": 4, "num_channels": 3, "embed_dim": 96, "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24], "window_size": 7, "mlp_ratio": 4.0, "qkv_bias": True, "hidden_act": "gelu",
    "use_absolute_embeddings": False, "layer_norm_eps": 1e-5, "encoder_stride": 32,
}  # fmt: skip
ATTRIBUTES = {"num_attention_heads": "num_heads"}


@family("swin", roots=ROOTS, defaults=SWIN, attribute_map=ATTRIBUTES, needs=("embed_dim", "depths"), base="swin")
def swin(config: Config, root: str) -> StagedEncoder:
    """Each stage but the last merges patches into half as many a side, twice as wide."""
    refuse_backbone(config)
    task, norm = config.task, layer_norms(config["layer_norm_eps"])
    above = "swin." if task else ""
    stages, last = stages_of(config, root, f"{above}encoder.layers")
    heads = {
        "": EncoderHead(of="mean"),
        "ImageClassification": classes(config, last, of="mean"),
        "MaskedImageModeling": pixels(config, last),
    }
    if task not in heads:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    side = config["image_size"] // config["patch_size"]
    return StagedEncoder(
        patches=PaddedPatches(
            name=f"{above}embeddings",
            projection="patch_embeddings.projection",
            width=config["embed_dim"],
            channels=config["num_channels"],
            patch=config["patch_size"],
            norm=layer_norms(1e-5)("norm", Role.EMBEDDING_NORM, config["embed_dim"]),
            positions=side * side if config["use_absolute_embeddings"] else None,
            mask=task == "MaskedImageModeling",
        ),
        stages=stages,
        post_norm=norm(f"{above}layernorm", Role.FINAL_NORM, last),
        head=heads[task],
        image=config["image_size"],
        prepared_by="ViTImageProcessor",
    )
