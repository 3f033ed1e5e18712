"""GOT-OCR 2 (arXiv 2409.01704): SAM's encoder, its map of features halved twice, before Qwen2.

Source: `GotOcr2Config` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.sam_eye import HalvingBridge, SamEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.common.spellings import Spelling
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.sam import SAM, sam_encoder

GOT: dict[str, Any] = {
    "image_token_index": 151859, "tie_word_embeddings": Nullable(bool, True), "architectures": Nullable(list),
}  # fmt: skip
SPELLINGS = {
    "as published": Spelling("language_model", "model", "vision_tower", "multi_modal_projector"),
    "as transformers 5 holds it": Spelling(
        "", "model.language_model", "model.vision_tower", "model.multi_modal_projector"
    ),
}


@family(
    "got_ocr2",
    roots=tuple(SPELLINGS),
    defaults=GOT,
    attribute_map={"image_token_id": "image_token_index"},
    needs=("text_config", "vision_config"),
)
def got_ocr2(config: Config, root: str) -> VisionLanguage:
    """An image of 1,024 pixels becomes 256 vectors."""
    spelling = SPELLINGS[root]
    tower = sam_encoder(config.nested("vision_config").with_defaults(SAM), spelling.tower)
    model = component_of(CausalLM, decided_text_config(config), spelling.decoder, "qwen2")
    channels, width = tower.neck.second.outputs, model.decoder.embedding.width
    bridge = HalvingBridge(
        name=spelling.bridge,
        first=Convolved(name="conv_upsampler1", inputs=channels, outputs=channels * 2, kernel=3, stride=2),
        second=Convolved(name="conv_upsampler2", inputs=channels * 2, outputs=width, kernel=3, stride=2),
        last=Projection(name="multimodal_projector", inputs=width, outputs=width, bias=True),
    )
    return VisionLanguage(
        eye=SamEye(tower=tower, bridge=bridge),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_index"]),
    )
