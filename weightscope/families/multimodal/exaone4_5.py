"""EXAONE 4.5 (LG 2026): Qwen2.5-VL's tower with grouped keys before EXAONE 4. Source: `Exaone4_5_Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_eye import CountingEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.qwen2_5_tower import VISION, qwen2_5_tower

EXAONE4_5: dict[str, Any] = {
    "image_token_id": 67, "video_token_id": 68, "tie_word_embeddings": False, "architectures": Nullable(list),
}  # fmt: skip
TOWER = VISION | {"num_key_value_heads": 8}


@family("exaone4_5", roots=("model",), defaults=EXAONE4_5, needs=("text_config", "vision_config"))
def exaone4_5(config: Config, root: str) -> VisionLanguage:
    """Positions count on through an image. The first release calls the language model's type exaone4_5_text."""
    text = decided_text(config, tied=bool(config["tie_word_embeddings"]))
    if text.model_type == "exaone4_5_text":
        text = decided_text(config, tied=bool(config["tie_word_embeddings"]), model_type="exaone4")
    model = component_of(CausalLM, text, f"{root}.language_model", "exaone4")
    return VisionLanguage(
        eye=CountingEye(tower=qwen2_5_tower(config.nested("vision_config"), f"{root}.visual", defaults=TOWER)),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
    )
