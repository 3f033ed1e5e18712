"""LLaVA 1.5 (arXiv 2310.03744): a CLIP tower, a two-layer projector, any declared language model.

Source: `LlavaConfig` of transformers. The original repository's own layout (`mm_projector`) is not declared.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group, find
from weightscope.components.embedding import Embedding
from weightscope.components.projector import Projection, Projector
from weightscope.components.vision import PatchEmbedding
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.registry import component_of, family

LLAVA: dict[str, Any] = {
    "projector_hidden_act": "gelu",
    "multimodal_projector_bias": True,
}
# What a root stands for: prefixes of the language model's decoder and head, the vision encoder, the projector.
SPELLINGS = {
    "as published": ("language_model", "model", "vision_tower.vision_model", "multi_modal_projector"),
    "as transformers 5 saves it": ("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers 4.52 holds it": (
        "",
        "model.language_model",
        "model.vision_tower.vision_model",
        "model.multi_modal_projector",
    ),
}


@family("llava", roots=tuple(SPELLINGS), defaults=LLAVA, needs=("text_config", "vision_config"))
def llava(config: Config, root: str) -> Group:
    """Features of `vision_feature_layer` replace the image tokens' embeddings."""
    language, decoder, tower, bridge = SPELLINGS[root]
    layer = config.get("vision_feature_layer", -2)
    if not isinstance(layer, int):
        raise UndeclaredError(
            "LLaVA with a vision_feature_layer of several layers is not declared", where=config.source
        )
    encoder = component_of(config.nested("vision_config"), tower, "clip_vision_model")
    model = component_of(_text(config), decoder, "llama")
    patches, tokens = next(find(encoder, PatchEmbedding), None), next(find(model, Embedding), None)
    if patches is None or tokens is None:
        raise UndeclaredError("LLaVA with this vision_config or text_config is not declared", where=config.source)
    bias = config["multimodal_projector_bias"]
    projector = Projector(
        name=bridge,
        parts=(
            Projection(name="linear_1", inputs=patches.width, outputs=tokens.width, bias=bias),
            Projection(name="linear_2", inputs=tokens.width, outputs=tokens.width, bias=bias),
        ),
        activation=config["projector_hidden_act"],
    )
    return Group(parts=(encoder, projector, Group(name=language, parts=(model,))))


def _text(config: Config) -> Config:
    """The language model's config with what the whole decides: tying, and whether there is a head at all."""
    text = config.nested("text_config")
    tied = bool(config.data.get("tie_word_embeddings")) or text.data.get("tie_word_embeddings")
    decided = {"architectures": config.data.get("architectures")} | (
        {} if tied is None else {"tie_word_embeddings": tied}
    )
    return Config({**text.data, **decided}, source=text.source, prefix=text.prefix, read=text.read)
