"""LFM2-VL (arXiv 2511.23404): SigLIP 2's features of images of any shape, before LFM2. Source: `Lfm2VlConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.naflex import NaflexEncoder
from weightscope.components.vision.naflex_eye import NaflexEye
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.common.spellings import TOGETHER
from weightscope.families.registry import component_of, family
from weightscope.roles import Role

LFM2_VL: dict[str, Any] = {
    "image_token_id": 396, "projector_hidden_act": "gelu", "projector_hidden_size": 2560, "projector_bias": True,
    "projector_use_layernorm": True, "downsample_factor": 2, "tie_word_embeddings": Nullable(bool, True),
    "architectures": Nullable(list),
}  # fmt: skip


@family(
    "lfm2_vl",
    roots=tuple(TOGETHER),
    defaults=LFM2_VL,
    attribute_map={"tie_embedding": "tie_word_embeddings"},
    needs=("text_config", "vision_config"),
)
def lfm2_vl(config: Config, root: str) -> VisionLanguage:
    """Squares of `downsample_factor` × `downsample_factor` patches, normed together, through two matrices."""
    spelling = TOGETHER[root]
    tower = component_of(NaflexEncoder, config.nested("vision_config"), spelling.tower, "siglip2_vision_model")
    model = component_of(CausalLM, decided_text_config(config), spelling.decoder, "lfm2")
    factor, bias, inner = config["downsample_factor"], config["projector_bias"], config["projector_hidden_size"]
    if not factor:
        raise config.error("downsample_factor is 0, and must be at least 1")
    width = tower.patches.width * factor * factor
    bridge = PatchMerger(
        name=spelling.bridge,
        norm=layer_norms(1e-5)("layer_norm", Role.PROJECTOR_NORM, width) if config["projector_use_layernorm"] else None,
        first=Projection(name="linear_1", inputs=width, outputs=inner, bias=bias),
        second=Projection(name="linear_2", inputs=inner, outputs=model.decoder.embedding.width, bias=bias),
        activation=config["projector_hidden_act"],
        square=int(factor * factor),
        norms_squares=True,
    )
    return VisionLanguage(
        eye=NaflexEye(tower=tower, bridge=bridge, factor=int(factor)),
        language=Group(name=spelling.language, parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
