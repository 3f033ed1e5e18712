"""ViT (arXiv 2010.11929). Source: `ViTConfig` of transformers."""

from __future__ import annotations

from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.vit import NEEDS, POOLED, SPELLINGS, classes, vit_encoder


@family("vit", roots=tuple(SPELLINGS), defaults=POOLED, needs=NEEDS, base="vit")
def vit(config: Config, root: str) -> NormedEncoder:
    """A class vector before the patches."""
    heads = {"ImageClassification": classes(config, config["hidden_size"])}
    return vit_encoder(config, root, "vit", heads)
