"""PaliGemma (arXiv 2407.07726) and PaliGemma 2 (arXiv 2412.03555): Gemma or Gemma 2 sees through SigLIP.

Source: `PaliGemmaConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.projection import Projection
from weightscope.components.sense import Frame
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.projector import Projector
from weightscope.components.vision.soft_tokens import SiglipEye
from weightscope.config import Config, Nullable
from weightscope.families.common.spellings import APART
from weightscope.families.registry import family
from weightscope.families.siblings.gemma_eyes import IMAGE_TOKEN, PARTS, WHOLE, parts_of

PALIGEMMA = WHOLE | {"projection_dim": 2048}
# A prompt is all prefix: every token of it sees every other.
PREFIX = {"is_causal": False, "sliding_window": None}


@family("paligemma", roots=tuple(APART), defaults=PALIGEMMA, attribute_map=IMAGE_TOKEN, needs=PARTS)
def paligemma(config: Config, root: str) -> VisionLanguage:
    """Positions count from 1; what the model is to write after a prompt would see only what is before it."""
    spelling = APART[root]
    tower, _, language = parts_of(config, spelling, "gemma", PREFIX, tied=bool(config["tie_word_embeddings"]))
    text = config.nested("text_config").with_defaults({"bos_token_id": Nullable(int, 2)})
    begin = text["bos_token_id"]
    matrix = Projection(name="linear", inputs=tower.patches.width, outputs=config["projection_dim"], bias=True)
    return VisionLanguage(
        eye=SiglipEye(
            tower=tower,
            bridge=Projector(name=spelling.bridge, parts=(matrix,), activation=""),
            each=int(tower.patches.positions),
            normed=True,
        ),
        language=language,
        image_token=int(config["image_token_index"]),
        frame=None if begin is None else Frame(int(begin), "\n"),
        first=1,
    )
