"""Gemma 3 (arXiv 2503.19786) sees through SigLIP; ShieldGemma 2 (arXiv 2504.01081) has the same parts.

Sources: `Gemma3Config` and `ShieldGemma2Config` of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from weightscope.components.norm import RMSNorm
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.pooled import PooledProjector
from weightscope.components.vision.soft_tokens import SoftTokenEye
from weightscope.config import Config, Nullable
from weightscope.families.common.refusals import not_computed
from weightscope.families.common.spellings import APART, Spelling
from weightscope.families.registry import family
from weightscope.families.siblings.gemma_eyes import BELOW, IMAGE_TOKEN, PARTS, WHOLE, parts_of
from weightscope.roles import Role

GEMMA3 = WHOLE | {
    "mm_tokens_per_image": 256, "image_token_index": 262144, "boi_token_index": Nullable(int, 255999),
    "eoi_token_index": Nullable(int, 256000),
}  # fmt: skip
SHIELDGEMMA2 = GEMMA3 | {"tie_word_embeddings": False}
NAMES = IMAGE_TOKEN | {"boi_token_id": "boi_token_index", "eoi_token_id": "eoi_token_index"}
UNCAPPED = {"final_logit_softcapping": None}
CAUSAL_TEXT = {"use_bidirectional_attention": (None, False)}


@family("gemma3", roots=tuple(APART), defaults=GEMMA3, attribute_map=NAMES, needs=PARTS)
def gemma3(config: Config, root: str) -> VisionLanguage:
    """The tokens of an image see each other; the whole does not cap the logits, whatever its language model does."""
    return _seeing(config, APART[root], tied=bool(config["tie_word_embeddings"]))


@family("shieldgemma2", roots=tuple(BELOW), defaults=SHIELDGEMMA2, attribute_map=NAMES, needs=PARTS)
def shieldgemma2(config: Config, root: str) -> VisionLanguage:
    """Its answer is the logits of Yes and No after the last token. Either part of the config ties."""
    text = config.nested("text_config").with_defaults({"tie_word_embeddings": Nullable(bool, True)})
    tied = bool(config["tie_word_embeddings"] or text["tie_word_embeddings"])
    return _seeing(config, BELOW[root], tied=tied, decided={"architectures": None})


def _seeing(config: Config, spelling: Spelling, *, tied: bool, decided: Mapping[str, Any] = UNCAPPED) -> VisionLanguage:
    tower, model, language = parts_of(config, spelling, "gemma3_text", {**UNCAPPED, **decided}, tied=tied)
    vision = config.nested("vision_config").with_defaults({"layer_norm_eps": 1e-6})
    text = config.nested("text_config").with_defaults({"use_bidirectional_attention": Nullable(bool, False)})
    side = int(tower.patches.side)
    square = side // isqrt(config["mm_tokens_per_image"])
    if not square:
        raise config.error(
            f"mm_tokens_per_image is {config['mm_tokens_per_image']:,}, but an image has only {side * side:,} patches"
            " (image_size, patch_size)"
        )
    width = tower.patches.width
    bridge = PooledProjector(
        name=spelling.bridge,
        inputs=width,
        outputs=model.decoder.embedding.width,
        norm=RMSNorm(
            name="mm_soft_emb_norm", role=Role.PROJECTOR_NORM, size=width, eps=vision["layer_norm_eps"], offset=1.0
        ),
        side=side,
        square=square,
    )
    begin, end = config["boi_token_index"], config["eoi_token_index"]
    return VisionLanguage(
        eye=SoftTokenEye(tower=tower, bridge=bridge, each=bridge.each, normed=True, begin=begin, end=end),
        language=language,
        image_token=int(config["image_token_index"]),
        written="" if begin is None else int(begin),
        images_whole="everywhere",
        refused=not_computed(text, "Gemma 3", CAUSAL_TEXT),
    )
