"""What DeepSeek-VL's two types share: their keys and spellings."""

from __future__ import annotations

from typing import Any

from weightscope.config import Nullable
from weightscope.families.common.spellings import Spelling

DEEPSEEK_VL: dict[str, Any] = {
    "image_token_id": 100015, "tie_word_embeddings": Nullable(bool, True), "architectures": Nullable(list),
}  # fmt: skip
SPELLINGS = {
    "as published": Spelling("", "model.language_model", "model.vision_model.vision_model", "model.aligner"),
    "as transformers 5 holds it": Spelling("", "model.language_model", "model.vision_model", "model.aligner"),
}
