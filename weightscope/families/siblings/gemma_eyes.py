"""What the Gemmas that see through SigLIP share: spellings, and their tower and language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.common.spellings import APART, Spelling
from weightscope.families.registry import component_of

PUBLISHED, SAVED, HELD, NOW_HELD = APART
# transformers holds the Gemma 3 of ShieldGemma 2 below `model`, and saves it so.
BELOW = {
    PUBLISHED: APART[PUBLISHED],
    SAVED: Spelling(
        "model", "model.language_model.model", "model.model.vision_tower", "model.model.multi_modal_projector"
    ),
    "as transformers 4.50 saves it": APART[PUBLISHED].below("model"),
    HELD: APART[HELD].below("model"),
    NOW_HELD: APART[NOW_HELD].below("model"),
}
PARTS = ("text_config", "vision_config")
IMAGE_TOKEN = {"image_token_id": "image_token_index"}
WHOLE: dict[str, Any] = {
    "image_token_index": 256000, "tie_word_embeddings": Nullable(bool, True), "architectures": Nullable(list),
}  # fmt: skip


def parts_of(
    config: Config, spelling: Spelling, text: str, decided: Mapping[str, Any], *, tied: bool
) -> tuple[VisionEncoder, CausalLM, Group]:
    """The tower, the language model, and the language model in its place.

    `text` is the language model's type where none is named, `decided` and `tied` what the whole says of its config.

    Raises:
        UndeclaredError: one of them is of a kind that has no such model.
    """
    tower = component_of(VisionEncoder, config.nested("vision_config"), spelling.tower, "siglip_vision_model")
    model = component_of(CausalLM, decided_text(config, tied=tied, **decided), spelling.decoder, text)
    return tower, model, Group(name=spelling.language, parts=(model,))
