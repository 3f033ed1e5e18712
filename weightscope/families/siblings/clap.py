"""CLAP's text encoder, and the two matrices after either encoder (arXiv 2211.06687)."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.encoder_heads import Dense, VectorHead
from weightscope.components.projection import Projection
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import pooler, token_embeddings
from weightscope.families.siblings.bert import BERT, bert_layers
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

TEXT = {key: value for key, value in BERT.items() if key not in ("is_decoder", "add_cross_attention")} | {
    "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": Nullable(int, 1),
}  # fmt: skip
PROJECTED = {"projection_dim": 512, "projection_hidden_act": "relu"}


def text_model(config: Config, name: str) -> EncoderModel:
    """RoBERTa, whose positions count from the token after padding; files hold two tables of indices.

    Raises:
        UndeclaredError: no padding token.
    """
    padding, norm = config["pad_token_id"], layer_norms(config["layer_norm_eps"])
    if padding is None:
        raise config.undeclared("CLAP without a pad_token_id is not declared")
    s = Dims.of(config, even=True)
    tables = token_embeddings(config, s.width, norm("LayerNorm", Role.EMBEDDING_NORM, s.width), offset=int(padding) + 1)
    types = Buffer("token_type_ids", Role.POSITION_IDS, (Size(1), config["max_position_embeddings"]))
    encoder = Encoder(
        name=name,
        embeddings=replace(tables, buffers=(*tables.buffers, types)),
        blocks=bert_layers(config, s, norm),
        pooler=pooler(s.width),
        depth=s.depth,
    )
    return EncoderModel(encoder=encoder, padding=int(padding))


def projector(config: Config, name: str, inputs: Size) -> Projector:
    """Two matrices."""
    parts = _matrices(config, inputs)
    return Projector(name=name, parts=parts, activation=config["projection_hidden_act"], section=Section.HEAD)


def text_head(config: Config) -> VectorHead:
    """The same as a head of the text encoder alone."""
    first, second = _matrices(config, config["hidden_size"])
    dense = Dense(dense=first, activation=config["projection_hidden_act"])
    return VectorHead(name="text_projection", of="pooled", before=dense, out=second)


def _matrices(config: Config, inputs: Size) -> tuple[Projection, Projection]:
    width = config["projection_dim"]
    first, second = (
        Projection(name=f"linear{number}", inputs=taken, outputs=width, bias=True, role=Role.OUTPUT_PROJ)
        for number, taken in ((1, inputs), (2, width))
    )
    return first, second
