"""BART (arXiv 1910.13461) and mBART (arXiv 2001.08210). Sources: `BartConfig` and `MBartConfig` of transformers."""

from __future__ import annotations

from weightscope.components.embedding import Embedding, Head
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.seq2seq import EncoderDecoder, Halves
from weightscope.config import Config
from weightscope.families.common.encoders import classes, transform
from weightscope.families.registry import family
from weightscope.families.siblings.bart import BART, MBART, NAMES, stack
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

NEEDS = ("d_model", "encoder_layers", "decoder_layers")


@family("bart", roots=("model", ""), defaults=BART, attribute_map=NAMES, needs=NEEDS)
def bart(config: Config, root: str) -> EncoderDecoder:
    """Norms act after the sums."""
    return model(config, root, before=False)


@family("mbart", roots=("model", ""), defaults=MBART, attribute_map=NAMES, needs=NEEDS)
def mbart(config: Config, root: str) -> EncoderDecoder:
    """Norms act before, and once more after the last layer."""
    return model(config, root, before=True)


def model(config: Config, root: str, *, before: bool) -> EncoderDecoder:
    """Both stacks and the head of the config's architecture."""
    if not config["tie_word_embeddings"]:
        raise config.undeclared("a table of tokens for each stack (tie_word_embeddings false) is not declared")
    width, heads = config["d_model"], heads_of(config, config["d_model"])
    if config.task not in ("", "ConditionalGeneration") and not heads:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    scores = not (config.is_base_model or heads)
    head = Head(name="lm_head", vocabulary=config["vocab_size"], width=width, tied=bool(config["tie_word_embeddings"]))
    return EncoderDecoder(
        halves=Halves(
            name=root,
            table=Embedding(
                name="shared",
                rows=config["vocab_size"],
                width=width,
                scale=float(width) ** 0.5 if config["scale_embedding"] else 1.0,
            ),
            encoder=stack(config, "encoder", before=before),
            decoder=stack(config, "decoder", before=before),
        ),
        head=head if scores else None,
        heads=heads,
        # mBART begins with the language, a text's last token.
        start=None if before else config["decoder_start_token_id"],
        echoes=True,
        buffers=(Buffer("final_logits_bias", Role.LOGIT_BIAS, (Size(1), config["vocab_size"])),) if scores else (),
    )


def heads_of(config: Config, width: Size) -> tuple[EncoderHead, ...]:
    """What scores classes: of the last token, or of where an answer begins and ends."""
    if config.task == "SequenceClassification":
        dense = transform(width, "tanh")
        return (classes(width, config.labels, of="last", name="classification_head", out="out_proj", before=dense),)
    if config.task == "QuestionAnswering":
        return (classes(width, 2, of="tokens", out="qa_outputs"),)
    return ()
