"""Heads of encoders under the names that most of them have, and the choice of one by the architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weightscope.components.attention import CAUSAL, EVERYTHING
from weightscope.components.attention.sees import Sees
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.encoder_heads import Dense, EncoderHead, MaskedHead, Of
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

Heads = tuple[EncoderHead, ...]


def seen(config: Config, *, causal: bool = False) -> Sees:
    """What a token sees: all others, or of a `causal` model those before it; transformers obeys `is_causal` first."""
    said = config["is_causal"]
    return CAUSAL if (causal if said is None else said) else EVERYTHING


def table(name: str, role: Role, rows: Size, width: Size, *, offset: int = 0) -> Embedding:
    """A table of learned vectors."""
    return Embedding(name=name, role=role, rows=rows, width=width, offset=offset)


def token_embeddings(
    config: Config,
    width: Size,
    norm: Norm,
    *,
    offset: int = 0,
    name: str = "embeddings",
    below: str = "",
    project: Projection | None = None,
) -> TokenEmbeddings:
    """BERT's: a table for words, one for positions from `offset` on, one for types, then a norm.

    Names of tables begin with `below`, so that what makes them wider may lie elsewhere (`project`).
    """
    positions = config["max_position_embeddings"]
    types = config["type_vocab_size"]
    return TokenEmbeddings(
        name=name,
        words=table(f"{below}word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], width),
        positions=table(f"{below}position_embeddings", Role.POSITION_EMBEDDING, positions, width, offset=offset),
        types=table(f"{below}token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, types, width),
        norm=norm,
        project=project,
        buffers=(Buffer(f"{below}position_ids", Role.POSITION_IDS, (Size(1), positions)),),
    )


def transform(
    width: Size,
    activation: str,
    norm: Norm | None = None,
    *,
    name: str = "",
    dense: str = "dense",
    role: Role = Role.OUTPUT_PROJ,
    inputs: Size | None = None,
    bias: bool = True,
    optional: bool = False,
) -> Dense:
    """A square matrix, an activation and a norm; from `inputs` where it is not square."""
    return Dense(
        name=name,
        dense=Projection(
            name=dense, inputs=width if inputs is None else inputs, outputs=width, bias=bias, role=role,
            optional=optional,
        ),
        activation=activation,
        norm=norm,
    )  # fmt: skip


def post_norm_block(
    norm: Callable[[str, Role, Size], Norm],
    width: Size,
    names: tuple[str, str],
    *,
    attention: Component,
    feed_forward: Component,
) -> Block:
    """BERT's: norm(x + attention(x)), then norm(x + feed_forward(x)); `names` are those of the two norms."""
    return Block(
        input_norm=None,
        attention=attention,
        attention_out_norm=norm(names[0], Role.POST_ATTENTION_NORM, width),
        feed_forward_norm=None,
        feed_forward=feed_forward,
        feed_forward_out_norm=norm(names[1], Role.POST_FEEDFORWARD_NORM, width),
        norms_sums=True,
    )


def pooler(width: Size, *, name: str = "pooler", activation: str = "tanh", unused: bool = False) -> EncoderHead:
    """BERT's: tanh(W·x + b) of the first token; an `unused` one may be stored, and the model runs without it."""
    before = transform(width, activation, role=Role.POOLER, optional=unused)
    return EncoderHead(name=name, of="first", before=before, auxiliary=unused)


def leaves_pooled(heads: Heads) -> bool:
    """Whether there are heads and none acts on the pooled vector, so that the model runs without its pooler."""
    return bool(heads) and not any(head.of == "pooled" for head in heads)


def classes(
    width: Size,
    labels: int,
    *,
    of: Of,
    name: str = "",
    out: str = "classifier",
    before: Dense | None = None,
    bias: bool = True,
    averaged: bool = False,
) -> EncoderHead:
    """Scores of so many classes."""
    out_of = Classifier(name=out, labels=labels, width=width, bias=bias)
    return EncoderHead(name=name, of=of, before=before, out=out_of, averaged=averaged)


def first_classes(config: Config, width: Size, activation: str = "tanh") -> EncoderHead:
    """RoBERTa's classes of a sequence: of its first token through a layer of their own."""
    return classes(
        width, config.labels, of="first", name="classifier", out="out_proj", before=transform(width, activation)
    )


def masked(
    config: Config,
    width: Size,
    before: Dense | None,
    *,
    name: str,
    decoder: str = "decoder",
    bias: str = "bias",
    copies: tuple[str, ...] = ("decoder.bias",),
) -> MaskedHead:
    """Scores of the vocabulary by the token embedding or a matrix of their own."""
    tied = bool(config["tie_word_embeddings"])
    return MaskedHead(
        name=name,
        before=before,
        decoder=Head(name=decoder, vocabulary=config["vocab_size"], width=width, tied=tied, bias=not tied),
        bias=bias,
        copies=copies,
    )


def vocabulary_head(
    config: Config, width: Size, before: Dense | None, *, decoder: str, bias: bool = True
) -> MaskedHead:
    """Scores of the vocabulary by the token embedding or a matrix of their own, the bias under the matrix's name."""
    tied = bool(config["tie_word_embeddings"])
    return MaskedHead(
        before=before,
        decoder=Head(name=decoder, vocabulary=config["vocab_size"], width=width, tied=tied, bias=bias),
        bias="",
    )


def last_end(config: Config, heads: Heads) -> tuple[int | None, str]:
    """The token whose last vector a head of a text's end acts on, if there is such a head, or why there is no pass."""
    if not any(head.of == "last" for head in heads):
        return None, ""
    end = config["eos_token_id"]
    return (int(end), "") if isinstance(end, int) else (None, f"{config.model_type} with several eos_token_id, or none")


def heads_of(config: Config, known: Mapping[str, Heads]) -> Heads:
    """Those of the config's architecture: by what follows `For` in its name, `LMHeadModel` or, of a base model, "".

    Raises:
        UndeclaredError: the architecture has another head, by name.
    """
    task = "LMHeadModel" if config.architecture.endswith("LMHeadModel") else config.task
    if config.is_base_model or not task:
        return ()
    if task not in known:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    return known[task]
