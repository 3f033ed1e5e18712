"""Kosmos-2 (arXiv 2306.14824): CLIP's tower, learned queries, a decoder. Source: `Kosmos2Config` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.projection import Projection
from weightscope.components.vision.gathering import GatheringBridge
from weightscope.components.vision.resampler import LatentsAttention
from weightscope.components.vision.run_eye import RunEye, RunLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.families.siblings.clip import CLIP_VISION, PROJECTIONS, clip_encoder
from weightscope.families.siblings.kosmos import TEXT, TEXT_NAMES, language_model, scale_of

KOSMOS: dict[str, Any] = {"latent_query_num": 64, "tie_word_embeddings": True, "architectures": Nullable(list)}
KOSMOS_VISION: dict[str, Any] = CLIP_VISION | {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "patch_size": 14,
}  # fmt: skip
# The processor's tokens are the last of the vocabulary: what begins an image, what ends it, and 1,033 after those.
BEGIN, END = 1034, 1033


@family("kosmos-2", roots=("",), defaults=KOSMOS, needs=("text_config", "vision_config"))
def kosmos_2(config: Config, root: str) -> RunLanguage:
    """All features of the tower, the class vector's too, go through its last norm."""
    # The tower's class asks for no mask, whatever its config says.
    vision = replaced(part(config, "vision_config", {}), is_causal=None).with_defaults(KOSMOS_VISION)
    text = part(config, "text_config", TEXT, TEXT_NAMES)
    s, tower, queries = Dims.of(text, even=True), clip_encoder(vision, "vision_model.model"), config["latent_query_num"]
    tied, vocabulary = config["tie_word_embeddings"] or text["tie_word_embeddings"], int(text["vocab_size"])
    model = language_model(text, head=not config.is_base_model, tied=tied)
    bridge = GatheringBridge(
        name="image_to_text_projection",
        count=queries,
        width=s.width,
        dense=Projection(name="dense", inputs=tower.patches.width, outputs=s.width, bias=True),
        attention=LatentsAttention(
            name="x_attn", projections=linears(PROJECTIONS, bias=True), width=s.width, heads=s.heads
        ),
        each=int(tower.patches.positions),
        scale=scale_of(text),
    )
    return RunLanguage(
        name=root,
        eye=RunEye(
            tower=tower, bridge=bridge, each=int(queries), whole=True, normed=True, begin="<s>", end=vocabulary - END
        ),
        language=Group(name="text_model", parts=(model,)),
        image_token=vocabulary - BEGIN,
        padding=int(text["pad_token_id"]),
    )
