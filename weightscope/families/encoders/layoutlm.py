"""LayoutLM (arXiv 1912.13318): BERT with the boxes of tokens. Source: `LayoutLMConfig` of transformers."""

from __future__ import annotations

from weightscope.components.box_embeddings import BoxEmbeddings
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import classes, heads_of, masked, pooler, table, transform
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, bert_layers, roots_of, spelled, token_heads
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

UNREAD = ("is_decoder", "is_causal", "add_cross_attention", "position_embedding_type")
LAYOUTLM = {key: default for key, default in BERT.items() if key not in UNREAD} | {"max_2d_position_embeddings": 1024}


@family("layoutlm", roots=roots_of("layoutlm"), defaults=LAYOUTLM, needs=NEEDS)
def layoutlm(config: Config, root: str) -> EncoderModel:
    """All its forms have the pooler."""
    prefix, norm = spelled(config, root)
    s, boxes = Dims.of(config), config["max_2d_position_embeddings"]
    before = transform(s.width, config["hidden_act"], norm("LayerNorm", Role.NORM, s.width), name="transform")
    known = {
        "MaskedLM": (masked(config, s.width, before, name="cls.predictions"),),
        "SequenceClassification": (classes(s.width, config.labels, of="pooled"),),
    } | token_heads(config, s.width)
    placed, positions, types = "position_embeddings", config["max_position_embeddings"], config["type_vocab_size"]
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=BoxEmbeddings(
                name="embeddings",
                words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                positions=table(placed, Role.POSITION_EMBEDDING, positions, s.width),
                types=table("token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, types, s.width),
                norm=norm("LayerNorm", Role.EMBEDDING_NORM, s.width),
                buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), positions)),),
                boxes=tuple(table(f"{axis}_{placed}", Role.POSITION_EMBEDDING, boxes, s.width) for axis in "xyhw"),
            ),
            blocks=bert_layers(config, s, norm),
            pooler=pooler(s.width),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )
