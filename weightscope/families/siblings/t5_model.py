"""T5's two stacks and its heads, under the config's architecture."""

from __future__ import annotations

from weightscope.components.embedding import Head
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.halves import Halves
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.components.unused import Unused
from weightscope.config import Config
from weightscope.families.common.encoders import classes, last_end, transform
from weightscope.families.common.refusals import not_computed
from weightscope.families.siblings.t5 import stack, table
from weightscope.sizes import Size
from weightscope.storage.base import join

# Version 1.1 and Flan have a head of their own, which transformers 5 ties: what is stored decides.
TIED, APART = "the head is the table", "a head of its own"


def t5_model(config: Config, root: str, *, scales: bool, everywhere: bool = False) -> EncoderDecoder:
    """Both stacks and the head of the config's architecture; an encoder alone where it says so."""
    width, task = config["d_model"], config.task
    alone = config.architecture.endswith("EncoderModel") or task == "TokenClassification"
    halves = Halves(
        name="transformer" if task in ("SequenceClassification", "TokenClassification") else "",
        table=table(config),
        encoder=stack(config, "encoder", writes=False, everywhere=everywhere),
        decoder=None if alone else stack(config, "decoder", writes=True, everywhere=everywhere),
    )
    heads = heads_of(config, width)
    end, said = last_end(config, heads)
    if task not in ("", "ConditionalGeneration") and not heads:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    apart = root == APART and (config["tie_word_embeddings"] is False or not scales)
    head = Head(name="lm_head", vocabulary=config["vocab_size"], width=width, tied=not apart)
    return EncoderDecoder(
        halves=halves,
        head=None if alone or config.is_base_model or heads else head,
        heads=heads,
        start=config["decoder_start_token_id"],
        scale=float(width) ** -0.5 if scales else 1.0,
        end=end,
        extras=() if alone else (left_over(config, halves.name),),
        refused=said or not_computed(config, "an encoder-decoder", {"is_causal": None}),
    )


def left_over(config: Config, prefix: str) -> Unused:
    """A table of distances to the encoder, which Google's first checkpoints have and T5 does not use."""
    name = join(prefix, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias")
    shape = (config["relative_attention_num_buckets"], config["num_heads"])
    return Unused(name=name, shapes=(("weight", shape),))


def heads_of(config: Config, width: Size) -> tuple[EncoderHead, ...]:
    """What scores classes: of the token that ends the text, of each, of where an answer begins and ends."""
    match config.task:
        case "SequenceClassification":
            before = transform(width, "tanh")
            return (
                classes(width, config.labels, of="last", name="classification_head", out="out_proj", before=before),
            )
        case "TokenClassification":
            return (classes(width, config.labels, of="tokens"),)
        case "QuestionAnswering":
            return (classes(width, 2, of="tokens", out="qa_outputs"),)
    return ()
