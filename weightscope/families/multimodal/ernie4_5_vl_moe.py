"""ERNIE 4.5 VL (Baidu 2025): experts for images beside those for texts. Source: `Ernie4_5_VLMoeConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.norm import RMSNorm
from weightscope.components.vision.ernie_vl import ExpertEye, ExpertLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.mixtures import SWITCHED, WITHIN
from weightscope.families.common.multimodal import decided_text_config, part, replaced
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.ernie_flat import FLAT, text_of, vision_of
from weightscope.families.siblings.ernie_tower import VISION, Spelling, tower
from weightscope.families.siblings.qwen_vl import PARTS, TOWER_NAMES
from weightscope.roles import Role

WHOLE: dict[str, Any] = {
    "image_token_id": 100295, "image_start_token_id": 101304, "image_end_token_id": 101305, "video_token_id": 103367,
    "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
NUMBERED, NAMED, LAYERS = ("0", "2", "3"), ("fc1", "fc2", "ln"), ("layers.0", "layers.2", "layers.3")
PUBLISHED, SAVED = "as published", "as transformers 5 saves it"
OTHERS = ("as transformers 5 holds it", "as MLX has it")
SPELLINGS = {
    PUBLISHED: Spelling("vision_model", "model.resampler_model", "", "model", NUMBERED),
    SAVED: Spelling("model.vision_model", "model.resampler_model", "", "model", NUMBERED),
    OTHERS[0]: Spelling("model.vision_tower", "model.resampler_model", "", WITHIN, NAMED),
    OTHERS[1]: Spelling("vision_tower", "resampler_model", "language_model", SWITCHED, LAYERS),
}


@family("ernie4_5_vl_moe", roots=(SAVED, PUBLISHED, *OTHERS), defaults=WHOLE, needs=PARTS)
def ernie4_5_vl_moe(config: Config, root: str) -> ExpertLanguage:
    """Qwen2-VL's tower without films, and a bridge that has a place for a second frame."""
    vision = part(config, "vision_config", VISION, TOWER_NAMES)
    return together(config, decided_text_config(config), vision, SPELLINGS[root])


@family("ernie4_5_moe_vl", roots=(PUBLISHED, SAVED, *OTHERS), defaults=WHOLE | FLAT, needs=("vision_config",))
def ernie4_5_moe_vl(config: Config, root: str) -> ExpertLanguage:
    """As first published: the language model's keys are the config's own, and `im_patch_id` is an image's token."""
    whole = replaced(config, image_token_id=config["im_patch_id"]).with_defaults(WHOLE | FLAT)
    return together(whole, text_of(config), vision_of(config), SPELLINGS[root])


def together(config: Config, text: Config, vision: Config, spelling: Spelling) -> ExpertLanguage:
    """The model of both parts."""
    model = component_of(CausalLM, text, spelling.decoder, "ernie4_5_vl_moe_text")
    last = model.decoder.final_norm
    assert isinstance(last, RMSNorm)
    after = RMSNorm(name="after_norm", role=Role.PROJECTOR_NORM, size=last.size, eps=last.eps)
    return ExpertLanguage(
        eye=ExpertEye(tower=tower(vision, spelling, after)),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        around=((int(config["image_start_token_id"]),), (int(config["image_end_token_id"]),)),
        refused=model.refused or not_computed(vision, "ERNIE 4.5 VL", {"temporal_merge_size": 2}),
    )
