"""Molmo 2 (Ai2 2025): overlapping crops through SigLIP 2, patches pooled by attention. Source: `Molmo2Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.pooled_eye import AddedLanguage, PooledEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.molmo2_eye import HELD, PUBLISHED, bridge, parts_of, patches, tower
from weightscope.families.siblings.molmo2_text import SAVED

MOLMO2: dict[str, Any] = {
    "image_start_token_id": 151936, "low_res_image_start_token_id": 151940, "image_end_token_id": 151937,
    "image_patch_id": 151938, "frame_start_token_id": 151943,
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
NAMES = {"image_token_id": "image_patch_id", "video_token_id": "image_patch_id"}
# What a root stands for: the decoder's, and the names of tower and bridge.
SPELLINGS = {
    "as published": ("model.transformer", PUBLISHED),
    "as transformers 5 saves it": (SAVED, PUBLISHED),
    "as transformers 5 holds it": ("model.language_model", HELD),
}


@family("molmo2", roots=tuple(SPELLINGS), defaults=MOLMO2, attribute_map=NAMES, needs=("text_config", "adapter_config"))
def molmo2(config: Config, root: str) -> AddedLanguage:
    """Frames of videos are images to the language model, with other tokens around them."""
    decoder, names = SPELLINGS[root]
    vision, adapter, layers = parts_of(config)
    model = component_of(CausalLM, text_config(config), decoder, "molmo2_text")
    encoder = tower(vision, names, patches(vision))
    start, low, end, frame = (
        int(config[f"{key}_token_id"]) for key in ("image_start", "low_res_image_start", "image_end", "frame_start")
    )
    return AddedLanguage(
        eye=PooledEye(
            tower=encoder,
            bridge=bridge(adapter, names, encoder, len(layers)),
            layers=layers,
            start=start,
            low_start=low,
            end=end,
        ),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_patch_id"]),
        blank=int(config["image_patch_id"]),
        written="<|image|>",
        other_tokens=((frame, "a frame of a video"),),
        begins=(start, low),
        ends=(end,),
    )
