"""Layers of vision transformers that are published under BERT's names: ViT and DINOv2."""

from __future__ import annotations

from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.embedding import Classifier
from weightscope.components.encoder_heads import EncoderHead
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.parts import linears
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

VIT: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu", "image_size": 224,
    "num_channels": 3, "qkv_bias": True,
    # No field of the class, but its attention asks the config for it.
    "head_dim": Nullable(int),
    # No field either, but transformers passes it on to the masks of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
NEEDS = ("hidden_size", "num_hidden_layers")


class Names(NamedTuple):
    """Of an attention's matrices."""

    q: str
    k: str
    v: str
    o: str


BY_BERT = Names("attention.query", "attention.key", "attention.value", "output.dense")
HELD = Names("q_proj", "k_proj", "v_proj", "o_proj")


def vit_attention(config: Config, s: Dims, names: Names) -> Attention:
    """`qkv_bias` is not for the output."""
    roles = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
    qkv = linears(dict(zip(names[:3], roles, strict=True)), bias=config["qkv_bias"])
    return Attention(
        name="attention",
        projections=(*qkv, Linear(names.o, Role.O_PROJ, bias=True)),
        width=s.width,
        heads=s.heads,
        sees=Segments("image", causal=bool(config["is_causal"])),
    )


def classes(config: Config, width: Size) -> EncoderHead:
    """Scores of an image's classes, one layer beside the tower."""
    return EncoderHead(of="first", out=Classifier(name="classifier", labels=config.labels, width=width, bias=True))
