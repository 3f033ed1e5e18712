"""Perception-LM (arXiv 2504.13180): timm's Perception Encoder before Llama. Source: `PerceptionLMConfig`."""

from __future__ import annotations

from math import isqrt

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.projector import Projector
from weightscope.components.vision.tiled_crops import AveragingProjector, TiledCropEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.perception_encoder import perception_encoder
from weightscope.sizes import Size

PERCEPTION = {
    "vision_use_cls_token": True, "projector_pooling_ratio": 1, "image_token_id": 128002, "video_token_id": 128003,
    "tie_word_embeddings": Nullable(bool), "architectures": Nullable(list),
}  # fmt: skip
NAME = "model.multi_modal_projector"


@family("perception_lm", roots=("model",), defaults=PERCEPTION, needs=("text_config", "vision_config"))
def perception_lm(config: Config, root: str) -> VisionLanguage:
    """The first vector of each crop, the class's, is left out; the projector averages what it puts out."""
    tower = perception_encoder(config.nested("vision_config"), f"{root}.vision_tower.timm_model")
    said = config["tie_word_embeddings"]
    # Where the whole says nothing, the part decides.
    tied = bool(config.nested("text_config").data.get("tie_word_embeddings")) if said is None else bool(said)
    model = component_of(CausalLM, decided_text(config, tied=tied), f"{root}.language_model", "llama")
    width, outputs, whole = tower.patches.width, model.decoder.embedding.width, not config["vision_use_cls_token"]
    taken = int(tower.patches.positions) - (not whole)
    side, ratio = isqrt(taken), int(config["projector_pooling_ratio"])
    bridge = projector(width, outputs, side, ratio)
    return VisionLanguage(
        eye=TiledCropEye(
            tower=tower,
            bridge=bridge,
            each=bridge.pooled**2 if isinstance(bridge, AveragingProjector) else taken,
            whole=whole,
            skipped=0 if whole or tower.patches.class_token else 1,
            normed=tower.post_norm is not None,
        ),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        refused="" if ratio < 2 or side * side == taken else f"Perception-LM that averages {taken:,} vectors of a crop",
    )


def projector(inputs: Size, outputs: Size, side: int, ratio: int) -> Projector:
    """Two matrices with GELU between, and means of squares of `ratio` × `ratio` where they are more than one."""
    parts = (
        Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=True),
        Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=True),
    )
    if ratio < 2:
        return Projector(name=NAME, parts=parts, activation="gelu")
    return AveragingProjector(name=NAME, parts=parts, activation="gelu", side=side, pooled=side // ratio)
