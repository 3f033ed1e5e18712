"""Longformer (arXiv 2004.05150): RoBERTa with windows and global tokens. Source: `LongformerConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention.global_tokens import GlobalEmbeddings, Unsaid, WindowAndGlobal
from weightscope.components.decoder import Block
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.encoders import classes, heads_of, leaves_pooled, pooler, post_norm_block, table
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, NORMS, bert_mlp, roberta_heads, roots_of, spelled
from weightscope.families.siblings.longformer import PROJECTIONS, windows
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

UNREAD = ("is_decoder", "is_causal", "add_cross_attention", "position_embedding_type")
LONGFORMER = {key: default for key, default in BERT.items() if key not in UNREAD} | {
    "attention_window": Nullable(object, 512), "pad_token_id": Nullable(int, 1), "sep_token_id": Nullable(int, 2),
}  # fmt: skip
UNSAID: dict[str, Unsaid] = {
    "SequenceClassification": "first", "QuestionAnswering": "question", "MultipleChoice": "choice",
}  # fmt: skip


@family("longformer", roots=roots_of("longformer"), defaults=LONGFORMER, needs=NEEDS)
def longformer(config: Config, root: str) -> EncoderModel:
    """A classifier's first token is global, and so are the question of what finds an answer, and an offered choice."""
    padding, separator = config["pad_token_id"], config["sep_token_id"]
    if padding is None:
        raise config.undeclared("a Longformer without a pad_token_id, from which positions count, is not declared")
    prefix, norm = spelled(config, root)
    s, reaches, projections = Dims.of(config, even=True), windows(config), linears(PROJECTIONS, bias=True)

    def layer(i: int) -> Block:
        attention = WindowAndGlobal(
            name="attention", projections=projections, width=s.width, heads=s.heads, reach=reaches[i]
        )
        return post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=bert_mlp(config, s.width))

    known = roberta_heads(config, s.width, norm)
    known |= {"MultipleChoice": (classes(s.width, 1, of="pooled"),)}
    heads = heads_of(config, known)
    positions, types = config["max_position_embeddings"], config["type_vocab_size"]
    embeddings = GlobalEmbeddings(
        name="embeddings",
        words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
        positions=table("position_embeddings", Role.POSITION_EMBEDDING, positions, s.width, offset=int(padding) + 1),
        types=table("token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, types, s.width),
        norm=norm("LayerNorm", Role.EMBEDDING_NORM, s.width),
        buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), positions)),),
        unsaid=UNSAID.get(config.task, "none"),
        separator=None if separator is None else int(separator),
    )
    last = pooler(s.width, unused=leaves_pooled(heads))
    encoder = Encoder(
        name=prefix, embeddings=embeddings, blocks=numbered("encoder.layer", s.depth, layer), pooler=last, depth=s.depth
    )
    return EncoderModel(encoder=encoder, heads=heads, padding=int(padding))
