"""jina-embeddings-v3 (arXiv 2409.10173): XLM-RoBERTa with a rotation. Source: transformers' class."""

from __future__ import annotations

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.defaults import ROPE
from weightscope.families.common.encoders import heads_of, pooler
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.bert import NEEDS, roberta_heads
from weightscope.families.siblings.turning_bert import HELD, embeddings, layers, published, roots_of

JINA = ROPE | {
    "vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "hidden_act": "gelu", "max_position_embeddings": 8194, "type_vocab_size": 1,
    "layer_norm_eps": 1e-5, "tie_word_embeddings": True, "rope_theta": 20000.0, "is_causal": Nullable(bool),
    "head_dim": Nullable(int),
}  # fmt: skip


@family("jina_embeddings_v3", roots=roots_of("roberta"), defaults=JINA, needs=NEEDS)
def jina_embeddings_v3(config: Config, root: str) -> EncoderModel:
    """Its adapters are LoRAs of their own folder in transformers' layout."""
    prefix, _, held = root.partition(", ")
    names = HELD if held else published("mixer")
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True)
    heads = heads_of(config, roberta_heads(config, s.width, norm))
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=embeddings(config, s.width, norm, names),
            blocks=layers(config, s, norm, names, feed_forward, bias=True),
            pooler=pooler(s.width, unused=bool(heads)),
            depth=s.depth,
        ),
        heads=heads,
    )
