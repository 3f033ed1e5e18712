"""DeepSeek-VL 7B (arXiv 2403.05525): SigLIP's features and SAM's of a larger image, before Llama.

Source: `DeepseekVLHybridConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.convolved import Convolved
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.hybrid import HighResolution, HybridAligner, HybridEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.deepseek_eyes import DEEPSEEK_VL, SPELLINGS
from weightscope.families.siblings.sam import SAM_ALONE, sam_encoder, sam_neck

PARTS = ("text_config", "vision_config", "high_res_vision_config")


@family("deepseek_vl_hybrid", roots=tuple(SPELLINGS), defaults=DEEPSEEK_VL, needs=PARTS)
def deepseek_vl_hybrid(config: Config, root: str) -> VisionLanguage:
    """SAM's first layer that sees the whole image is added to its last, by a learned share."""
    spelling = SPELLINGS[root]
    tower = component_of(VisionEncoder, config.nested("vision_config"), spelling.tower, "siglip_vision_model")
    if tower.patches.class_token:
        raise config.undeclared("DeepSeek-VL with a class vector in its tower is not declared")
    model = component_of(CausalLM, decided_text_config(config), spelling.decoder, "llama")
    fine = config.nested("high_res_vision_config").with_defaults(SAM_ALONE)
    encoder, whole = (
        sam_encoder(fine, "high_res_vision_model.vision_encoder"),
        layer_numbers(fine, "global_attn_indexes"),
    )
    if not whole or not 0 <= whole[0] < fine["num_hidden_layers"]:
        raise config.error(
            f"high_res_vision_config.global_attn_indexes begins with {whole[:1]}, but its num_hidden_layers is "
            f"{fine['num_hidden_layers']:,}"
        )
    channels, width = fine["output_channels"], model.decoder.embedding.width
    large = HighResolution(
        name=spelling.bridge.removesuffix(".aligner"),
        tower=encoder,
        tapped=whole[0],
        neck=sam_neck(fine, "high_res_vision_neck"),
        first=Convolved(name="high_res_vision_proj.conv1", inputs=channels, outputs=channels * 2, kernel=3, stride=2),
        second=Convolved(
            name="high_res_vision_proj.conv2", inputs=channels * 2, outputs=channels * 4, kernel=3, stride=2
        ),
        side=int(tower.patches.side),
    )
    aligner = HybridAligner(
        name=spelling.bridge,
        small=Projection(name="vision_proj", inputs=tower.patches.width, outputs=width // 2, bias=True),
        large=Projection(name="high_res_vision_proj", inputs=channels * 4, outputs=width // 2, bias=True),
        last=Projection(name="proj", inputs=width, outputs=width, bias=True),
    )
    return VisionLanguage(
        eye=HybridEye(tower=tower, large=large, aligner=aligner),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
