"""RoBERTa (arXiv 1907.11692), XLM-RoBERTa (1911.02116), CamemBERT (1911.03894). Source: transformers' `RobertaConfig`.

They are BERTs with a head of their own; the three differ in their vocabulary alone.
"""

from __future__ import annotations

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.encoders import classes, heads_of, leaves_pooled, pooler, token_embeddings
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, bert_layers, refuse_others, roberta_heads, roots_of, spelled
from weightscope.families.siblings.jina_flash import flash
from weightscope.roles import Role

ROOTS = roots_of("roberta")
ROBERTA = BERT | {"vocab_size": 50265, "pad_token_id": Nullable(int, 1)}
OTHERS = ROBERTA | {"vocab_size": 30522}


@family("roberta", roots=ROOTS, defaults=ROBERTA, needs=NEEDS)
@family("camembert", roots=ROOTS, defaults=OTHERS, needs=NEEDS)
def roberta(config: Config, root: str) -> EncoderModel:
    """The first token has the position after the padding token's number, and padding itself has that number's."""
    refuse_others(config)
    padding = config["pad_token_id"]
    if padding is None:
        raise config.undeclared("a RoBERTa without a pad_token_id, from which positions count, is not declared")
    prefix, norm = spelled(config, root)
    s = Dims.of(config, even=True)
    known = roberta_heads(config, s.width, norm)
    known |= {"CausalLM": known["MaskedLM"], "MultipleChoice": (classes(s.width, 1, of="pooled"),)}
    heads = heads_of(config, known)
    first = norm("LayerNorm", Role.EMBEDDING_NORM, s.width)
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=token_embeddings(config, s.width, first, offset=int(padding) + 1),
            blocks=bert_layers(config, s, norm),
            pooler=pooler(s.width, unused=leaves_pooled(heads)),
            depth=s.depth,
        ),
        heads=heads,
        causal=config["is_decoder"],
        padding=int(padding),
    )


@family("xlm-roberta", roots=ROOTS, defaults=OTHERS, needs=NEEDS)
def xlm_roberta(config: Config, root: str) -> EncoderModel:
    """Those of Jina have a rotation instead of learned positions."""
    return flash(config, root) if config["position_embedding_type"] == "rotary" else roberta(config, root)
