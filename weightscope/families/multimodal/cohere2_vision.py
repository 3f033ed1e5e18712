"""Command A Vision (Cohere 2025): SigLIP's features by squares through a gated projector, before Command R.

Source: `Cohere2VisionConfig` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.marked_eye import CommandEye
from weightscope.config import Config, Nullable
from weightscope.families.common.spellings import TOGETHER
from weightscope.families.registry import family
from weightscope.families.siblings.cohere_eyes import PARTS, bridge_of, eye_and_language

COHERE2_VISION: dict[str, Any] = {
    "downsample_factor": 2, "image_token_id": 255036, "alignment_intermediate_size": 36864,
    "tie_word_embeddings": Nullable(bool, True), "architectures": Nullable(list),
}  # fmt: skip


@family("cohere2_vision", roots=tuple(TOGETHER), defaults=COHERE2_VISION, needs=PARTS)
def cohere2_vision(config: Config, root: str) -> VisionLanguage:
    """What leaves the tower's last norm; a text for a line break after each tile."""
    tower, model, language = eye_and_language(config, TOGETHER[root])
    bridge, each = bridge_of(config, TOGETHER[root].bridge, tower, model, config["alignment_intermediate_size"])
    return VisionLanguage(
        eye=CommandEye(
            tower=tower,
            bridge=bridge,
            each=each,
            normed=True,
            begin="<|START_OF_IMG|>",
            close="<|IMG_LINE_BREAK|>",
            end="<|END_OF_IMG|>",
        ),
        language=language,
        image_token=int(config["image_token_id"]),
    )
