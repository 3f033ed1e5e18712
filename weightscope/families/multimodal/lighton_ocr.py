"""LightOnOCR (LightOn 2025): Pixtral's tower, squares of its patches merged, Qwen3. Source: `LightOnOcrConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.packed_eye import RowlessEye
from weightscope.components.vision.packed_tower import PackedTower
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.mistral_bridge import merging

LIGHTON_OCR: dict[str, Any] = {
    "image_token_id": 151655, "spatial_merge_size": 2, "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip


@family("lighton_ocr", roots=("model",), defaults=LIGHTON_OCR, needs=("text_config", "vision_config"))
def lighton_ocr(config: Config, root: str) -> VisionLanguage:
    """An image is its tokens alone, row by row, without marks between."""
    text = decided_text_config(config)
    tower = component_of(PackedTower, config.nested("vision_config"), f"{root}.vision_encoder", "pixtral")
    model = component_of(CausalLM, text, f"{root}.language_model", "qwen3")
    merge, outputs = config["spatial_merge_size"], model.decoder.embedding.width
    bridge = merging(
        f"{root}.vision_projection",
        tower.patches.width,
        outputs,
        merge=merge,
        eps=text.with_defaults({"rms_norm_eps": 1e-6})["rms_norm_eps"],
        activation="gelu",
        bias=False,
    )
    return VisionLanguage(
        eye=RowlessEye(tower=tower, bridge=bridge, merge=int(merge)),
        language=Group(name="", parts=(model,)),
        image_token=int(config["image_token_id"]),
    )
