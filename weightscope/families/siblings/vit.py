"""Vision transformers that are published under BERT's names: ViT, DeiT, and the attention of DINOv2 and BEiT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from weightscope.components.attention import Segments
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Classifier
from weightscope.components.encoder_heads import Dense, EncoderHead, OfImage
from weightscope.components.projection import Projection
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.components.vision.normed_encoder import NormedEncoder
from weightscope.components.vision.pixel_head import PixelHead
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp
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
POOLED: dict[str, Any] = VIT | {
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "patch_size": 16, "pooler_output_size": Nullable(int),
    "pooler_act": "tanh", "encoder_stride": 16,
}  # fmt: skip
NEEDS = ("hidden_size", "num_hidden_layers")


class Names(NamedTuple):
    """Of an attention's matrices."""

    q: str
    k: str
    v: str
    o: str


class Spelling(NamedTuple):
    """The layers' name, and those within them: of the attention's matrices, of the MLP, of its matrices."""

    layers: str
    attention: Names
    mlp: str
    matrices: tuple[str, str]


BY_BERT = Names("attention.query", "attention.key", "attention.value", "output.dense")
HELD = Names("q_proj", "k_proj", "v_proj", "o_proj")
SPELLINGS = {
    "as published": Spelling("encoder.layer", BY_BERT, "", ("intermediate.dense", "output.dense")),
    "as transformers 5 holds it": Spelling("layers", HELD, "mlp", ("fc1", "fc2")),
}


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


def vit_block(config: Config, spelling: Spelling, s: Dims, inner: Size) -> Block:
    """A norm before each half."""
    norm = layer_norms(config["layer_norm_eps"])
    return Block(
        input_norm=norm("layernorm_before", Role.INPUT_NORM, s.width),
        attention=vit_attention(config, s, spelling.attention),
        feed_forward_norm=norm("layernorm_after", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, inner, config["hidden_act"], name=spelling.mlp, names=spelling.matrices, bias=True),
    )


def vit_layers(config: Config, spelling: Spelling, above: str) -> tuple[Repeat, ...]:
    """As many blocks as `num_hidden_layers` says, all alike."""
    s = Dims.of(config)
    block = vit_block(config, spelling, s, config["intermediate_size"])
    return (Repeat(name=f"{above}{spelling.layers}", indices=range(s.depth), child=block),)


def vit_encoder(
    config: Config,
    root: str,
    below: str,
    heads: Mapping[str, EncoderHead],
    *,
    patches: type[MarkedPatches] = MarkedPatches,
    prepared_by: str = "ViTImageProcessor",
) -> NormedEncoder:
    """Alone it has a pooler; of one of `heads` it lies `below` a name of its own, and for pixels it can mask patches.

    Raises:
        UndeclaredError: another head.
    """
    width = config["hidden_size"]
    known = {"": vit_pooler(config), "MaskedImageModeling": pixels(config, width), **heads}
    if config.task not in known:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    above = f"{below}." if config.task else ""
    return NormedEncoder(
        name="",
        patches=patches(
            name=f"{above}embeddings",
            width=width,
            channels=config["num_channels"],
            image=config["image_size"],
            patch=config["patch_size"],
            mask=2 if config.task == "MaskedImageModeling" else None,
        ),
        pre_norm=None,
        blocks=vit_layers(config, SPELLINGS[root], above),
        post_norm=layer_norms(config["layer_norm_eps"])(f"{above}layernorm", Role.FINAL_NORM, width),
        head=known[config.task],
        prepared_by=prepared_by,
    )


def vit_pooler(config: Config) -> EncoderHead:
    """A matrix and an activation on the class vector."""
    width = config["hidden_size"]
    size = config["pooler_output_size"] or width
    dense = Projection(name="pooler.dense", inputs=width, outputs=size, bias=True, role=Role.OUTPUT_PROJ)
    return EncoderHead(of="first", before=Dense(dense=dense, activation=config["pooler_act"]))


def classes(config: Config, width: Size, *, of: OfImage = "first") -> EncoderHead:
    """Scores of an image's classes, one layer beside the tower."""
    return EncoderHead(of=of, out=Classifier(name="classifier", labels=config.labels, width=width, bias=True))


def pixels(config: Config, width: Size) -> PixelHead:
    """`encoder_stride` pixels a side of each patch."""
    return PixelHead(
        name="decoder.0", of="patches", width=width, channels=config["num_channels"], stride=config["encoder_stride"]
    )
