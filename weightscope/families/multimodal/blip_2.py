"""BLIP-2 (arXiv 2301.12597): a Q-Former asks a vision tower, and a language model gets its answers.

Source: `Blip2Config` of transformers.
"""

from __future__ import annotations

from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.query_eye import QueryEye
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.blip import NAMES, NO_TOKEN, QFORMER, WHOLE, frame, language, qformer, tower


@family("blip-2", roots=("",), defaults=WHOLE, attribute_map=NAMES, needs=("text_config",))
def blip_2(config: Config, root: str) -> VisionLanguage:
    """`use_qformer_text_input` adds matrices for text, which no image passes through."""
    del root
    settings = part(config, "qformer_config", QFORMER | {"use_qformer_text_input": False})
    encoder, group, model = tower(config), *language(config)
    text = settings["use_qformer_text_input"]
    bridge = qformer(config, settings, encoder, model, norm="qformer.layernorm", text=text)
    token = config["image_token_index"]
    return VisionLanguage(
        eye=QueryEye(tower=encoder, bridge=bridge, each=int(bridge.count), whole=True, normed=True),
        language=group,
        frame=frame(config),
        image_token=NO_TOKEN if token is None else int(token),
    )
