"""BART's whole models: both stacks and what is made of the decoder's output, or the decoder alone."""

from __future__ import annotations

from math import sqrt

from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Embedding, Head
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.halves import Halves
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config
from weightscope.families.common import depth_of
from weightscope.families.common.encoders import classes, last_end, transform
from weightscope.families.common.refusals import not_computed
from weightscope.families.siblings.bart import Kind, embedding_norm, final_norm, layers, stack
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import join
from weightscope.storage.plain import Buffer

# Of an untied model transformers 5 saves a table for each stack, earlier versions the one that both share.
ONE_TABLE = "one table"
ROOTS = ("model", "", f"model, {ONE_TABLE}", f", {ONE_TABLE}")


def halves_of(config: Config, root: str, kind: Kind) -> Halves:
    """Both stacks, and the table of tokens that they share; or one for each of an untied model."""
    prefix, _, spelling = root.partition(", ")
    if not (config["tie_word_embeddings"] or spelling == ONE_TABLE):
        return apart(config, prefix, kind, unused=table(config, "shared"))
    return Halves(
        name=prefix,
        table=table(config, "shared"),
        encoder=stack(config, "encoder", kind),
        decoder=stack(config, "decoder", kind),
    )


def apart(
    config: Config, prefix: str, kind: Kind, *, written: Size | None = None, unused: Embedding | None = None
) -> Halves:
    """Both stacks with a table each, the decoder's of `written` rows; an `unused` one lies beside them."""
    return Halves(
        name=prefix,
        table=table(config, "encoder.embed_tokens"),
        written_table=table(config, "decoder.embed_tokens", written),
        unused_table=unused,
        encoder=stack(config, "encoder", kind, table_copy=""),
        decoder=stack(config, "decoder", kind, table_copy=""),
    )


def whole(
    config: Config,
    halves: Halves,
    *,
    start: int | None,
    echoes: bool = False,
    padding: int | None = None,
    biased: bool = True,
) -> EncoderDecoder:
    """Both stacks and the head of the config's architecture.

    `start`, `echoes` and `padding` are `EncoderDecoder`'s; `biased` logits have a buffer added to them.
    """
    heads = heads_of(config, config["d_model"])
    end, said = last_end(config, heads)
    scores, rows = not (config.is_base_model or heads), halves.decoder_table.rows
    return EncoderDecoder(
        halves=halves,
        head=head(config, rows) if scores else None,
        heads=heads,
        start=start,
        echoes=echoes,
        padding=padding,
        end=end,
        refused=said or not_computed(config, "an encoder-decoder", {"is_causal": None}),
        buffers=(Buffer("final_logits_bias", Role.LOGIT_BIAS, (Size(1), rows)),) if scores and biased else (),
    )


def table(config: Config, name: str, rows: Size | None = None) -> Embedding:
    """A table of tokens, its rows multiplied by the root of their width where the config says so."""
    width = config["d_model"]
    return Embedding(
        name=name,
        rows=config["vocab_size"] if rows is None else rows,
        width=width,
        scale=sqrt(width) if config["scale_embedding"] else 1.0,
    )


def head(config: Config, rows: Size) -> Head:
    """The head over the vocabulary."""
    return Head(name="lm_head", vocabulary=rows, width=config["d_model"], tied=bool(config["tie_word_embeddings"]))


def decoder_alone(config: Config, root: str, kind: Kind, *, written: Size | None = None) -> CausalLM:
    """The decoder as a language model: its weights that look at an encoder are stored and not used.

    A norm that acts on the tokens alone stands where others widen them, before positions are added. Its table has
    `written` rows, where not as many as the vocabulary; only a head of its own always has as many.
    """
    embedding = table(config, "embed_tokens", written)
    width, positions = config["d_model"], kind.positions(config)
    # M2M-100's has no head of its own.
    assert isinstance(positions, Embedding)
    return CausalLM(
        decoder=Decoder(
            name=join(root.partition(", ")[0], "decoder"),
            embedding=embedding,
            positions=positions,
            widen=embedding_norm(kind, width) if kind.norms_tokens else None,
            embedding_norm=None if kind.norms_tokens else embedding_norm(kind, width),
            blocks=layers(config, "decoder", kind),
            final_norm=final_norm(kind, width),
            depth=depth_of(config, "decoder_layers"),
        ),
        head=head(config, embedding.rows if config["tie_word_embeddings"] else config["vocab_size"]),
        refused=not_computed(config, "a decoder", {"is_causal": (None, True)}),
    )


def heads_of(config: Config, width: Size) -> tuple[EncoderHead, ...]:
    """What scores classes: of the token that ends the text, or of where an answer begins and ends.

    Raises:
        UndeclaredError: the architecture has another head, by name.
    """
    if config.task == "SequenceClassification":
        dense = transform(width, "tanh")
        return (classes(width, config.labels, of="last", name="classification_head", out="out_proj", before=dense),)
    if config.task == "QuestionAnswering":
        return (classes(width, 2, of="tokens", out="qa_outputs"),)
    if config.task not in ("", "ConditionalGeneration"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    return ()
