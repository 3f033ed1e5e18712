"""Longformer (arXiv 2004.05150): RoBERTa with windows and global tokens. Source: `LongformerConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention.global_tokens import GlobalEmbeddings, Unsaid, WindowAndGlobal
from weightscope.components.decoder import Block
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.encoders import classes, heads_of, masked, pooler, table, transform
from weightscope.families.common.parts import linears, mlp
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, roots_of, spelled, token_heads
from weightscope.families.siblings.longformer import PROJECTIONS, windows
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

UNREAD = ("is_decoder", "is_causal", "add_cross_attention", "position_embedding_type")
LONGFORMER = {key: default for key, default in BERT.items() if key not in UNREAD} | {
    "attention_window": Nullable(object, 512), "pad_token_id": Nullable(int, 1), "sep_token_id": Nullable(int, 2),
}  # fmt: skip
UNSAID: dict[str, Unsaid] = {"SequenceClassification": "first", "QuestionAnswering": "question"}


@family("longformer", roots=roots_of("longformer"), defaults=LONGFORMER, needs=NEEDS)
def longformer(config: Config, root: str) -> EncoderModel:
    """A classifier's first token is global, and so is the question of what finds an answer."""
    padding, separator = config["pad_token_id"], config["sep_token_id"]
    if padding is None:
        raise config.undeclared("a Longformer without a pad_token_id, from which positions count, is not declared")
    prefix, norm = spelled(config, root)
    s, reaches = Dims.of(config, even=True), windows(config)

    def layer(i: int) -> Block:
        return Block(
            input_norm=None,
            attention=WindowAndGlobal(
                name="attention",
                projections=linears(PROJECTIONS, bias=True),
                width=s.width,
                heads=s.heads,
                reach=reaches[i],
            ),
            attention_out_norm=norm("attention.output.LayerNorm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward_norm=None,
            feed_forward=mlp(
                s.width, config["intermediate_size"], config["hidden_act"], name="",
                names=("intermediate.dense", "output.dense"), bias=True,
            ),
            feed_forward_out_norm=norm("output.LayerNorm", Role.POST_FEEDFORWARD_NORM, s.width),
            norms_sums=True,
        )  # fmt: skip

    before = transform(s.width, "gelu", norm("layer_norm", Role.NORM, s.width))
    scored = classes(
        s.width, config.labels, of="first", name="classifier", out="out_proj", before=transform(s.width, "tanh")
    )
    known = {
        "MaskedLM": (masked(config, s.width, before, name="lm_head"),),
        "SequenceClassification": (scored,),
    } | token_heads(config, s.width)
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
    last = pooler(s.width, unused=bool(heads))
    encoder = Encoder(
        name=prefix, embeddings=embeddings, blocks=numbered("encoder.layer", s.depth, layer), pooler=last, depth=s.depth
    )
    return EncoderModel(encoder=encoder, heads=heads, padding=int(padding))
