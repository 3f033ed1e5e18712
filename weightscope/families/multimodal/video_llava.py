"""Video-LLaVA (arXiv 2311.10122): a tower for images, one for videos, one projector.

Source: `VideoLlavaConfig` of transformers. Videos are not implemented.
"""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.vision.crops import TwinEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import CHOSEN, PARTS, SPELLINGS, VIDEO_TOKEN, parts_of, projector


@family(
    "video_llava",
    roots=tuple(SPELLINGS),
    defaults=CHOSEN | {"video_token_index": 32001},
    attribute_map=VIDEO_TOKEN,
    needs=PARTS,
)
def video_llava(config: Config, root: str) -> VisionLanguage:
    """Both towers have the sizes of `vision_config`."""
    spelling = SPELLINGS[root]
    read = parts_of(config, spelling, decided_text_config(config), tower="image_tower")
    return VisionLanguage(
        eye=TwinEye(
            tower=read.tower,
            films=replace(read.tower, name=spelling.tower("video_tower")),
            bridge=projector(config, read, spelling),
            each=read.each,
            layers=read.layers,
            whole=read.whole,
            skipped=read.skipped,
        ),
        language=read.language,
        image_token=int(config["image_token_index"]),
        other_tokens=((int(config["video_token_index"]), "a video"),),
    )
