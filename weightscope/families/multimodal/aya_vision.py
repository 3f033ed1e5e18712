"""Aya Vision (arXiv 2505.08751): SigLIP's features by squares through a norm and a gated projector, before Command R.

Source: `AyaVisionConfig` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.marked_eye import AyaEye
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.multimodal import feature_layers
from weightscope.families.common.refusals import not_computed
from weightscope.families.common.spellings import APART
from weightscope.families.registry import family
from weightscope.families.siblings.cohere_eyes import PARTS, bridge_of, eye_and_language

AYA: dict[str, Any] = {
    "vision_feature_select_strategy": "full", "vision_feature_layer": Nullable(object, -1), "downsample_factor": 2,
    "adapter_layer_norm_eps": 1e-6, "alignment_intermediate_size": Nullable(int), "image_token_index": 255036,
    "tie_word_embeddings": Nullable(bool, True), "architectures": Nullable(list),
}  # fmt: skip


@family(
    "aya_vision",
    roots=tuple(APART),
    defaults=AYA,
    attribute_map={"image_token_id": "image_token_index"},
    needs=PARTS,
)
def aya_vision(config: Config, root: str) -> VisionLanguage:
    """What leaves a layer of the tower, before its last norm. The prompt places an image by `<image>`."""
    tower, model, language = eye_and_language(config, APART[root])
    layers = feature_layers(config, tower.depth)
    if len(layers) > 1:
        raise config.undeclared("Aya Vision with a vision_feature_layer of several layers is not declared")
    inner = config["alignment_intermediate_size"]
    bridge, each = bridge_of(
        config,
        APART[root].bridge,
        tower,
        model,
        model.decoder.embedding.width if inner is None else inner,
        norms=layer_norms(config["adapter_layer_norm_eps"]),
    )
    return VisionLanguage(
        eye=AyaEye(
            tower=tower,
            bridge=bridge,
            each=each,
            layers=layers,
            begin="<|START_OF_IMG|>",
            tile="TILE_{}",
            overview="TILE_GLOBAL",
            end="<|END_OF_IMG|>",
        ),
        language=language,
        image_token=int(config["image_token_index"]),
        written="<image>",
        refused=not_computed(config, "Aya Vision", {"vision_feature_select_strategy": "full"}),
    )
