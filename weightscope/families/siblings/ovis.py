"""Ovis 2's tower, and its table of visual words (arXiv 2405.20797)."""

from __future__ import annotations

from math import isqrt
from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.components.vision.words import VisualWords
from weightscope.config import Config
from weightscope.families.common import Dims, rms_norms
from weightscope.families.common.parts import gated_mlp, linears, self_attention
from weightscope.families.common.spellings import Spelling
from weightscope.families.siblings.siglip import PROJECTIONS
from weightscope.roles import Role, Section
from weightscope.sizes import Size

VISION: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 8,
    "num_channels": 3, "image_size": 224, "patch_size": 14, "rms_norm_eps": 1e-5, "qkv_bias": False, "mlp_bias": False,
    "hidden_act": "silu", "vocab_size": 16384, "hidden_stride": 1, "num_visual_indicator_tokens": 5,
    "tokenize_function": "softmax",
}  # fmt: skip


def ovis_encoder(config: Config, name: str) -> VisionEncoder:
    """AIMv2's: RMS norms, one of them on the patches before their positions, and a gated MLP."""
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    block = Block(
        input_norm=norm("rms_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s, linears(PROJECTIONS, bias=config["qkv_bias"]), name="attention", sees=Segments("image")
        ),
        feed_forward_norm=norm("rms_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "ffn", bias=config["mlp_bias"]),
    )
    return VisionEncoder(
        name=name,
        patches=PatchEmbedding(
            name="embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            class_token=False,
            bias=True,
            norm=norm("rms_norm", Role.EMBEDDING_NORM, s.width),
        ),
        pre_norm=None,
        blocks=(Repeat(name="encoder.layers", indices=range(s.depth), child=block),),
        post_norm=norm("rms_norm", Role.FINAL_NORM, s.width),
    )


def visual_words(config: Config, spelling: Spelling, tower: VisionEncoder, width: Size) -> VisualWords:
    """The matrix and the norm that score the words but for the last ones, which stand for marks; the table of all.

    Raises:
        ConfigError: there are more marks than words.
    """
    words, marks, stride = config["vocab_size"], config["num_visual_indicator_tokens"], config["hidden_stride"]
    if marks >= words or not stride:
        raise config.error("vision_config.vocab_size or vision_config.hidden_stride is too small")
    scored = words - marks
    below = spelling.tower.removeprefix(f"{spelling.bridge}.") if spelling.bridge else spelling.tower
    return VisualWords(
        name=spelling.bridge,
        side=isqrt(int(tower.patches.positions)),
        stride=int(stride),
        scores=Projection(
            name=f"{below}.head_linear", inputs=tower.patches.width * stride * stride, outputs=scored, bias=False
        ),
        norm=LayerNorm(name=f"{below}.head_norm", role=Role.PROJECTOR_NORM, size=scored, eps=1e-5),
        table=Embedding(name="visual_embeddings_table", role=Role.VISUAL_EMBEDDING, rows=words, width=width),
        hard=config["tokenize_function"] == "st_argmax",
        section=Section.PROJECTOR,
    )
