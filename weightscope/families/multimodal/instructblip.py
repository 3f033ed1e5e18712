"""InstructBLIP (arXiv 2305.06500): BLIP-2, whose Q-Former reads the instruction too.

Source: `InstructBlipConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.qformer import QueryWords
from weightscope.components.vision.query_eye import InstructedEye
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.blip import NAMES, NO_TOKEN, QFORMER, WHOLE, frame, language, qformer, tower


@family("instructblip", roots=("",), defaults=WHOLE, attribute_map=NAMES, needs=("text_config",))
def instructblip(config: Config, root: str) -> VisionLanguage:
    """The instruction comes in ids of the Q-Former's own vocabulary, `qformer_input_ids`."""
    del root
    settings = part(config, "qformer_config", QFORMER)
    encoder, group, model = tower(config), *language(config)
    words = QueryWords(
        name="qformer.embeddings",
        rows=settings["vocab_size"],
        positions=settings["max_position_embeddings"],
        width=settings["hidden_size"],
    )
    norm = "qformer.embeddings.layernorm"
    bridge = qformer(config, settings, encoder, model, norm=norm, text=True, words=words)
    token = config["image_token_index"]
    return VisionLanguage(
        eye=InstructedEye(tower=encoder, bridge=bridge, each=int(bridge.count), whole=True, normed=True),
        language=group,
        frame=frame(config),
        image_token=NO_TOKEN if token is None else int(token),
    )
