"""Llama 4 (Meta 2025): tiles through a tower that rotates by row and column. Source: `Llama4Config` of transformers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.canvases import CanvasEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.mixtures import SWITCHED
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.llama4_experts import APART
from weightscope.families.siblings.llama4_tower import VISION, encoder, shuffled

LLAMA4: dict[str, Any] = {
    "image_token_index": 200092, "architectures": Nullable(list),
    # No field of the class, but transformers passes it on to the attention of all parts.
    "is_causal": Nullable(bool),
}  # fmt: skip
# What a root stands for: the prefix of the decoder, which also says how experts lie; mlx-lm leaves out the tower.
TOWERLESS = "as mlx-lm has it"
SPELLINGS = {"as published": "model", "experts apart": APART, TOWERLESS: SWITCHED, "as MLX has it": SWITCHED}


@family(
    "llama4",
    roots=tuple(SPELLINGS),
    parts=(TOWERLESS,),
    defaults=LLAMA4,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config",),
)
def llama4(config: Config, root: str) -> VisionLanguage | CausalLM:
    """The tower's own MLP and `multi_modal_projector` are the bridge."""
    # Here the part decides on tying, whatever the whole says.
    text = replaced(config.nested("text_config"), architectures=config["architectures"])
    model = component_of(CausalLM, text, SPELLINGS[root], "llama4_text")
    if root == TOWERLESS:
        return replace(model, name="language_model")
    vision = part(config, "vision_config", VISION)
    tower = encoder(vision)
    bridge = shuffled(vision, tower, model.decoder.embedding.width)
    return VisionLanguage(
        eye=CanvasEye(tower=tower, bridge=bridge, each=(bridge.side // bridge.merge) ** 2, normed=True),
        language=Group(name="language_model", parts=(model,)),
        image_token=int(config["image_token_index"]),
        written="<|image|>",
        refused=not_computed(config, "Llama 4", {"is_causal": (True, None)}),
    )
