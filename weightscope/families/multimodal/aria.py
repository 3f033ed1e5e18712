"""Aria (arXiv 2410.05993): SigLIP's layers over crops of two sizes, queries, and a mixture. Source: `AriaConfig`."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.vision.asking_eye import AskingEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.mixtures import WITHIN
from weightscope.families.common.multimodal import feature_layer
from weightscope.families.registry import family
from weightscope.families.siblings.aria_bridge import bridge
from weightscope.families.siblings.idefics import TOWER, tower_and_language
from weightscope.families.siblings.llava import IMAGE_TOKEN, PARTS, SPELLINGS, Spelling

ARIA = {
    "image_token_index": 9, "vision_feature_layer": Nullable(object, -1), "tie_word_embeddings": False,
    "projector_patch_to_query_dict": Nullable(dict), "max_value_projector_patch_to_query_dict": Nullable(int),
    "architectures": Nullable(list),
}  # fmt: skip
VISION = TOWER | {"hidden_size": 1152, "num_attention_heads": 16}
# transformers 5 has other names for the experts' stacks in memory.
SPELLED = SPELLINGS | {f"as transformers 5 holds it, {WITHIN}": Spelling("", WITHIN, "model.", "")}


@family("aria", roots=tuple(SPELLED), defaults=ARIA, attribute_map=IMAGE_TOKEN, needs=PARTS)
def aria(config: Config, root: str) -> VisionLanguage:
    """Features of one layer, before the last norm, become as many vectors as the size of a crop says."""
    spelling, vision = SPELLED[root], config.nested("vision_config")
    if vision.model_type not in ("", "idefics3_vision"):
        raise config.undeclared(f"Aria with the vision_config.model_type {vision.model_type!r:.60} is not declared")
    tower, model = tower_and_language(config, VISION, (spelling.tower(), spelling.decoder), "aria_text")
    width, heads = tower.patches.width, vision.with_defaults(VISION)["num_attention_heads"]
    name = f"{spelling.others}multi_modal_projector"
    return VisionLanguage(
        eye=AskingEye(
            tower=tower,
            bridge=bridge(config, name, heads, width, model.decoder.embedding.width),
            layer=feature_layer(config, tower.depth)[0],
        ),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
