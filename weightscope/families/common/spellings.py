"""Where the parts of a vision-language model lie, under the names that several types have for them."""

from __future__ import annotations

import msgspec

from weightscope.storage.base import join


class Spelling(msgspec.Struct, frozen=True):
    """Prefixes of the language model and of its decoder within it, of the tower, and of the bridge."""

    language: str
    decoder: str
    tower: str
    bridge: str

    def below(self, prefix: str) -> Spelling:
        """The same within a module of that name."""
        return Spelling(join(prefix, self.language), self.decoder, join(prefix, self.tower), join(prefix, self.bridge))


_HELD = {
    "as transformers 4.52 holds it": Spelling(
        "", "model.language_model", "model.vision_tower.vision_model", "model.multi_modal_projector"
    ),
    "as transformers 5 holds it": Spelling(
        "", "model.language_model", "model.vision_tower", "model.multi_modal_projector"
    ),
}
# What a root stands for: of types that were published before transformers 4.52, and since.
APART = {
    "as published": Spelling("language_model", "model", "vision_tower.vision_model", "multi_modal_projector"),
    "as transformers 5 saves it": Spelling("language_model", "model", "vision_tower", "multi_modal_projector"),
    **_HELD,
}
TOGETHER = {**_HELD, "as MLX has it": Spelling("language_model", "model", "vision_tower", "multi_modal_projector")}
