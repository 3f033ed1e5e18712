"""BEiT (arXiv 2106.08254) and data2vec's vision encoder (arXiv 2202.03555), which has its layers.

Sources: `BeitConfig` and `Data2VecVisionConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.vision.beit import BeitEncoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.beit import BEIT, SPELLINGS, beit_encoder, masked_words
from weightscope.families.siblings.vit import NEEDS

# `head_dim` is no field of the class, but its attention asks the config for it.
OWN = BEIT | {"vocab_size": 8192, "head_dim": Nullable(int)}


@family("beit", roots=tuple(SPELLINGS), defaults=OWN, needs=NEEDS, base="beit")
def beit(config: Config, root: str) -> BeitEncoder:
    """A masked model predicts which visual word each patch is."""
    return beit_encoder(config, root, "beit", {"MaskedImageModeling": masked_words(config)})


@family("data2vec-vision", roots=("as published",), defaults=BEIT, needs=NEEDS, base="data2vec_vision")
def data2vec_vision(config: Config, root: str) -> BeitEncoder:
    """Under BEiT's published names, in memory too; alone it does not pool."""
    return beit_encoder(config, root, "data2vec_vision", {"": None})
