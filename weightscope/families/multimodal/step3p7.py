"""Step 3.7 (StepFun 2026): a picture and windows of it through a tower that turns, before Step 3.5's mixture.

Source: `Step3p7Config` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.local_eye import LocalEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.step3p7_eye import HELD, PUBLISHED, VISION, VISION_NAMES, bridge, tower

STEP3P7: dict[str, Any] = {
    "projector_bias": False, "image_token_id": 151679, "tie_word_embeddings": False, "architectures": Nullable(list),
}  # fmt: skip
# What a root stands for: the decoder's, and the names of tower and bridge.
SPELLINGS = {
    "as published": ("model", PUBLISHED),
    "as transformers 5 holds it": ("model.language_model", HELD),
}


@family("step3p7", roots=tuple(SPELLINGS), defaults=STEP3P7, needs=())
def step3p7(config: Config, root: str) -> VisionLanguage:
    """Parts that the config leaves out have all of their class's defaults, as transformers reads it."""
    decoder, names = SPELLINGS[root]
    vision, text = part(config, "vision_config", VISION, VISION_NAMES), part(config, "text_config", {})
    decided = {key: config[key] for key in ("architectures", "tie_word_embeddings")}
    # The class takes both parts for its own, whatever type they name.
    model = component_of(CausalLM, replaced(text, model_type="step3p5", **decided), decoder, "step3p5")
    encoder, outputs = tower(vision, names), model.decoder.embedding.width
    return VisionLanguage(
        eye=LocalEye(
            tower=encoder, bridge=bridge(names, encoder.patches.width, outputs, bias=config["projector_bias"])
        ),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
