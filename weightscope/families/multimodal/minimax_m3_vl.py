"""MiniMax-M3 (2026): CLIP's layers over images of any size, before a sparse mixture. Source: `MiniMaxM3VLConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_eye import EnclosedEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.minimax_m3_eye import SPELLINGS, tower

MINIMAX: dict[str, Any] = {
    "image_token_index": 200025, "video_token_index": 200026, "projector_hidden_size": 6144,
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
NAMES = {"image_token_id": "image_token_index", "video_token_id": "video_token_index"}


@family(
    "minimax_m3_vl",
    roots=tuple(SPELLINGS),
    defaults=MINIMAX,
    attribute_map=NAMES,
    needs=("text_config", "vision_config"),
)
def minimax_m3_vl(config: Config, root: str) -> VisionLanguage:
    """Patches are projected one by one, and then square by square."""
    spelling = SPELLINGS[root]
    model = component_of(CausalLM, text_config(config), spelling.decoder, "minimax_m3_vl_text")
    eye = tower(config, spelling, model.decoder.embedding.width)
    return VisionLanguage(
        eye=EnclosedEye(tower=eye, begin="]<]start of image[>[", end="]<]end of image[>["),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_index"]),
        other_tokens=((int(config["video_token_index"]), "a video"),),
    )
