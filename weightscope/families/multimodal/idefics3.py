"""Idefics 3 (arXiv 2408.12637) and SmolVLM (arXiv 2504.05299): tiles, pixel shuffle and one matrix.

Sources: `Idefics3Config` and `SmolVLMConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.shuffle import ShuffledBridge
from weightscope.components.vision.tile_eye import TileEye
from weightscope.config import Config, Nullable
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.families.siblings.idefics import SPELLINGS, TOWER, WHOLE, tower_and_language

IDEFICS3 = WHOLE | {"image_token_id": 128257, "scale_factor": 2}
SMOLVLM = IDEFICS3 | {"is_causal": Nullable(bool)}
VISION = TOWER | {"hidden_size": 1152, "num_attention_heads": 16}


@family("idefics3", roots=tuple(SPELLINGS), defaults=IDEFICS3, needs=("text_config", "vision_config"))
def idefics3(config: Config, root: str) -> VisionLanguage:
    """Tiles before Llama."""
    return shuffled(config, root)


@family("smolvlm", roots=tuple(SPELLINGS), defaults=SMOLVLM, needs=("text_config", "vision_config"))
def smolvlm(config: Config, root: str) -> VisionLanguage:
    """The same; but its class hands `is_causal` on to the language model's attention, whose masks do not know it."""
    return shuffled(config, root, refused=not_computed(config, "SmolVLM", {"is_causal": (True, None)}))


def shuffled(config: Config, root: str, *, refused: str = "") -> VisionLanguage:
    """A square of `scale_factor` × `scale_factor` patches is one vector, times a matrix without bias."""
    language, decoder, eye, bridge = SPELLINGS[root]
    tower, model = tower_and_language(config, VISION, (eye, decoder), "llama")
    factor = config["scale_factor"]
    if not factor:
        raise config.error("scale_factor is 0, and must be at least 1")
    matrix = Projection(
        name="modality_projection.proj",
        inputs=tower.patches.width * factor * factor,
        outputs=model.decoder.embedding.width,
        bias=False,
    )
    return VisionLanguage(
        eye=TileEye(
            tower=tower,
            bridge=ShuffledBridge(name=bridge, factor=int(factor), each=int(tower.patches.positions), inner=matrix),
        ),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        refused=refused,
    )
