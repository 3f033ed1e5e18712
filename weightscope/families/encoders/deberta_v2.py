"""DeBERTa (arXiv 2006.03654), its second version and DeBERTaV3 (2111.09543). Sources: transformers' classes."""

from __future__ import annotations

from weightscope.components.attention.disentangled import RelativeTable
from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import heads_of, post_norm_block
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.families.siblings.bert import NEEDS, NORMS, bert_mlp, roots_of, spelled
from weightscope.families.siblings.deberta import (
    DEBERTA,
    DEBERTA_V2,
    attention_v1,
    attention_v2,
    distances_of,
    embeddings,
    known_heads,
    spare,
)
from weightscope.roles import Role


@family("deberta", roots=roots_of("deberta"), defaults=DEBERTA, needs=NEEDS)
@family("deberta-v2", roots=roots_of("deberta"), defaults=DEBERTA_V2, needs=NEEDS)
def deberta(config: Config, root: str) -> EncoderModel:
    """BERT with disentangled attention; all layers share the vectors of distances."""
    second = config.model_type == "deberta-v2"
    if second:
        refuse(config, "DeBERTa", ("conv_kernel_size",))
    else:
        refuse(config, "DeBERTa", ("talking_head",))
    width = config["hidden_size"]
    for key, own in (("embedding_size", width), ("attention_head_size", width // config["num_attention_heads"])):
        if config.declares(key) and config[key] not in (None, own):
            raise config.undeclared(f"DeBERTa with {key} {config[key]:,} is not declared")
    prefix, norm = spelled(config, root)
    s, distances = Dims.of(config, even=True), distances_of(config, second=second)
    attention = (attention_v2 if second else attention_v1)(config, s, distances)
    block = post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=bert_mlp(config, s.width))
    table = None
    if distances is not None:
        normed = second and "layer_norm" in [word.strip() for word in config["norm_rel_ebd"].lower().split("|")]
        inner = norm("LayerNorm", Role.NORM, s.width) if normed else None
        table = RelativeTable(name="encoder", rows=distances.span * 2, width=s.width, norm=inner)
    heads = heads_of(config, known_heads(config, s.width, norm))
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=embeddings(config, s.width, norm),
            before=table,
            blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
            depth=s.depth,
        ),
        heads=heads,
        extras=() if heads else spare(config, s.width),
    )
