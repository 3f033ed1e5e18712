"""LLaVA-OneVision (arXiv 2408.03326): LLaVA-NeXT with SigLIP and Qwen2, its large images shrunk.

Source: `LlavaOnevisionConfig` of transformers. Videos are not implemented.
"""

from __future__ import annotations

import re
from itertools import product

from weightscope.components.vision.any_resolution import OnevisionEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import CHOSEN, PARTS, SPELLINGS, VIDEO_TOKEN, parts_of, projector
from weightscope.families.siblings.llava_tiles import newline, resolutions, unusable

SIDES = range(384, 2305, 384)
ONEVISION = CHOSEN | {
    "image_token_index": 151646, "video_token_index": 151647, "vision_feature_layer": Nullable(object, -1),
    "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9",
    "image_grid_pinpoints": Nullable(list, [list(size) for size in product(SIDES, SIDES)], fills=True),
}  # fmt: skip


@family("llava_onevision", roots=tuple(SPELLINGS), defaults=ONEVISION, attribute_map=VIDEO_TOKEN, needs=PARTS)
def llava_onevision(config: Config, root: str) -> VisionLanguage:
    """`vision_aspect_ratio` says to how many tiles' vectors an image is shrunk."""
    spelling, sizes = SPELLINGS[root], resolutions(config)
    read = parts_of(config, spelling, text_config(config), types=("siglip_vision_model", "qwen2"))
    most = re.fullmatch(r"anyres_max_([1-9]\d{0,5})", config["vision_aspect_ratio"])
    unknown = "" if most else f"the vision_aspect_ratio {config['vision_aspect_ratio']!r:.60}"
    return VisionLanguage(
        eye=OnevisionEye(
            tower=read.tower,
            bridge=projector(config, read, spelling),
            each=read.each,
            layers=read.layers,
            whole=read.whole,
            skipped=read.skipped,
            newline=newline(read, f"{spelling.others}image_newline"),
            resolutions=sizes,
            most=int(most[1]) if most else None,
            refused=unknown or unusable(read, sizes),
        ),
        language=read.language,
        image_token=int(config["image_token_index"]),
        other_tokens=((int(config["video_token_index"]), "a video"),),
    )
