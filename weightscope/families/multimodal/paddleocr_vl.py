"""PaddleOCR-VL (arXiv 2510.14528): SigLIP's layers over images of any size. Source: `PaddleOCRVLConfig`."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.raster import RasterEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import replaced
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.paddleocr_tower import left_over, tower
from weightscope.families.siblings.qwen_vl import WHOLE, language_config

PADDLEOCR = WHOLE | {
    "image_token_id": 100295, "video_token_id": 100296, "vision_start_token_id": 101305, "vision_end_token_id": 101306,
    "tie_word_embeddings": Nullable(bool, True),
}  # fmt: skip
TIE = "tie_word_embeddings"
# What a root stands for: prefixes of the tower, of the bridge, and of the decoder.
SPELLINGS = {
    "as published": ("visual.vision_model", "mlp_AR", "model"),
    "as transformers 5 holds it": ("model.visual.vision_model", "model.projector", "model.language_model"),
}


@family("paddleocr_vl", roots=tuple(SPELLINGS), defaults=PADDLEOCR, needs=("vision_config",))
def paddleocr_vl(config: Config, root: str) -> VisionLanguage:
    """Before a small ERNIE 4.5."""
    eye, bridge, decoder = SPELLINGS[root]
    text = language_config(config, "paddleocr_vl_text")
    # Either of the two says so, and a nested part does where it says nothing.
    part = config.data.get("text_config")
    tied = bool(config["tie_word_embeddings"]) or bool(isinstance(part, dict) and part.get(TIE, True))
    model = component_of(CausalLM, replaced(text, tie_word_embeddings=tied), decoder, "paddleocr_vl_text")
    return VisionLanguage(
        eye=RasterEye(tower=tower(config, eye, bridge, model.decoder.embedding.width)),
        language=Group(name="", parts=(model,)),
        unused=(left_over(config, eye),),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        around=((int(config["vision_start_token_id"]),), (int(config["vision_end_token_id"]),)),
    )
