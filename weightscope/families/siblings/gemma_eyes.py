"""What the Gemmas that see through SigLIP share: spellings, and their tower and language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of
from weightscope.storage.base import join


class Spelling(msgspec.Struct, frozen=True):
    """Prefixes of the language model and of its decoder, of the tower, and of the bridge."""

    language: str
    decoder: str
    tower: str
    bridge: str

    def below(self, prefix: str) -> Spelling:
        """The same within a module of that name."""
        return Spelling(join(prefix, self.language), self.decoder, join(prefix, self.tower), join(prefix, self.bridge))


# What a root stands for; MLX's are as published.
SPELLINGS = {
    "as published": Spelling("language_model", "model", "vision_tower.vision_model", "multi_modal_projector"),
    "as transformers 5 saves it": Spelling("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers 4.52 holds it": Spelling(
        "", "model.language_model", "model.vision_tower.vision_model", "model.multi_modal_projector"
    ),
    "as transformers 5 holds it": Spelling(
        "", "model.language_model", "model.vision_tower", "model.multi_modal_projector"
    ),
}
PUBLISHED, SAVED, HELD, NOW_HELD = SPELLINGS
# transformers holds the Gemma 3 of ShieldGemma 2 below `model`, and saves it so.
BELOW = {
    PUBLISHED: SPELLINGS[PUBLISHED],
    SAVED: Spelling(
        "model", "model.language_model.model", "model.model.vision_tower", "model.model.multi_modal_projector"
    ),
    "as transformers 4.50 saves it": SPELLINGS[PUBLISHED].below("model"),
    HELD: SPELLINGS[HELD].below("model"),
    NOW_HELD: SPELLINGS[NOW_HELD].below("model"),
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
    tower = component_of(config.nested("vision_config"), spelling.tower, "siglip_vision_model")
    model = component_of(decided_text(config, tied=tied, **decided), spelling.decoder, text)
    if not isinstance(tower, VisionEncoder) or not isinstance(model, CausalLM):
        raise config.undeclared(f"{config.model_type} with this vision_config or text_config is not declared")
    return tower, model, Group(name=spelling.language, parts=(model,))
