"""LLaVA-NeXT (LLaVA 1.6): images of any resolution in tiles, a newline vector after each row of them.

Source: `LlavaNextConfig` of transformers.
"""

from __future__ import annotations

from weightscope.components.vision.any_resolution import AnyResolutionEye
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config
from weightscope.families.registry import family
from weightscope.families.siblings.llava import CHOSEN, IMAGE_TOKEN, PARTS, SPELLINGS, parts_of, projector
from weightscope.families.siblings.llava_tiles import newline, resolutions, unusable

PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
LLAVA_NEXT = CHOSEN | {"image_grid_pinpoints": Nullable(list, PINPOINTS, fills=True)}


@family("llava_next", roots=tuple(SPELLINGS), defaults=LLAVA_NEXT, attribute_map=IMAGE_TOKEN, needs=PARTS)
def llava_next(config: Config, root: str) -> VisionLanguage:
    """The resolution of `image_grid_pinpoints` that suits an image is cut into tiles as large as the tower's images."""
    spelling, sizes = SPELLINGS[root], resolutions(config)
    read = parts_of(config, spelling, decided_text_config(config))
    return VisionLanguage(
        eye=AnyResolutionEye(
            tower=read.tower,
            bridge=projector(config, read, spelling),
            each=read.each,
            layers=read.layers,
            whole=read.whole,
            skipped=read.skipped,
            newline=newline(read, f"{spelling.others}image_newline"),
            resolutions=sizes,
            refused=unusable(read, sizes),
        ),
        language=read.language,
        image_token=int(config["image_token_index"]),
    )
