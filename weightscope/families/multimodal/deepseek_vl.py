"""DeepSeek-VL (arXiv 2403.05525): SigLIP's features through two matrices, before Llama. Source: `DeepseekVLConfig`."""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.projector import Projector
from weightscope.components.vision.squared_eye import SquaredEye
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.deepseek_eyes import DEEPSEEK_VL, SPELLINGS


@family("deepseek_vl", roots=tuple(SPELLINGS), defaults=DEEPSEEK_VL, needs=("text_config", "vision_config"))
def deepseek_vl(config: Config, root: str) -> VisionLanguage:
    """What leaves the tower's last norm."""
    spelling = SPELLINGS[root]
    tower = component_of(VisionEncoder, config.nested("vision_config"), spelling.tower, "siglip_vision_model")
    if tower.patches.class_token:
        raise config.undeclared("DeepSeek-VL with a class vector in its tower is not declared")
    model = component_of(CausalLM, decided_text_config(config), spelling.decoder, "llama")
    width = model.decoder.embedding.width
    aligner = Projector(
        name=spelling.bridge,
        parts=(
            Projection(name="linear1", inputs=tower.patches.width, outputs=width, bias=True),
            Projection(name="linear2", inputs=width, outputs=width, bias=True),
        ),
        activation="gelu",
    )
    return VisionLanguage(
        eye=SquaredEye(tower=tower, bridge=aligner, each=int(tower.patches.positions), normed=True),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
