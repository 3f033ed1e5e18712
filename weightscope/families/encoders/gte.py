"""GTE (arXiv 2407.19669): BERT with a rotation and a gated MLP. Sources: Alibaba's code, transformers' class."""

from __future__ import annotations

from weightscope.components.attention import Rope
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.components.feed_forward import GatedMLP
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.defaults import ROPE
from weightscope.families.common.encoders import classes, heads_of, pooler, table, transform, vocabulary_head
from weightscope.families.common.refusals import refuse, require
from weightscope.families.registry import family
from weightscope.families.siblings.bert import NEEDS
from weightscope.families.siblings.turning_bert import HELD, Names, layers, roots_of
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GTE = ROPE | {
    "vocab_size": 250048, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 8192, "type_vocab_size": 1,
    "layer_norm_eps": 1e-12, "tie_word_embeddings": True, "rope_theta": 160000.0, "is_causal": Nullable(bool),
    "head_dim": Nullable(int),
    # Keys of Alibaba's own code, which has other layers too.
    "layer_norm_type": "layer_norm", "pack_qkv": True, "position_embedding_type": "rope", "logn_attention_scale": False,
    "logn_attention_clip1": False,
}  # fmt: skip
NEW = GTE | {"vocab_size": 30528, "max_position_embeddings": 2048, "rope_theta": 10000.0}
PUBLISHED = Names("encoder.layer", "attention", "qkv_proj", "o_proj", ("attn_ln", "mlp_ln"), "embeddings.LayerNorm")


@family("new", roots=roots_of("new"), defaults=NEW, needs=NEEDS)
@family("gte", roots=(*roots_of("gte"), "new"), defaults=GTE, needs=NEEDS)
def gte(config: Config, root: str) -> EncoderModel:
    """Published as `new`. Only a classifier of whole texts has the pooler."""
    refuse(config, "GTE", ("logn_attention_scale", "logn_attention_clip1"))
    require(config, "GTE", {"layer_norm_type": "layer_norm", "pack_qkv": True, "position_embedding_type": "rope"})
    prefix, _, held = root.partition(", ")
    names = HELD if held else PUBLISHED
    s, norm, types = Dims.of(config), layer_norms(config["layer_norm_eps"]), config["type_vocab_size"]
    fused = (Linear("up_gate_proj", Role.UP_PROJ, Role.GATE_PROJ),)
    apart = (Linear("gate_proj", Role.GATE_PROJ), Linear("up_proj", Role.UP_PROJ))
    feed_forward = GatedMLP(
        name="mlp",
        items=(*(apart if held else fused), Linear("down_proj", Role.DOWN_PROJ, bias=True)),
        width=s.width,
        inner=config["intermediate_size"],
        activation=config["hidden_act"],
    )
    before = transform(s.width, "gelu", norm("layer_norm" if held else "norm", Role.NORM, s.width), name="lm_head")
    known = {
        "MaskedLM": (vocabulary_head(config, s.width, before, decoder="lm_head.decoder"),),
        "SequenceClassification": (classes(s.width, config.labels, of="pooled"),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
    }
    words, kinds = "embeddings.word_embeddings", "embeddings.token_type_embeddings"
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=TokenEmbeddings(
                words=table(words, Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                types=table(kinds, Role.TOKEN_TYPE_EMBEDDING, types, s.width) if types else None,
                norm=norm(names.embedding_norm, Role.EMBEDDING_NORM, s.width),
            ),
            blocks=layers(config, s, norm, names, feed_forward, bias=True, positions=rotation(config, s)),
            pooler=pooler(s.width, unused=config.task != "SequenceClassification"),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )


def rotation(config: Config, s: Dims) -> Rope:
    """Alibaba's `ntk` makes theta larger by the factor, and all waves slower by its power of 2/d."""
    scaling = config["rope_scaling"] or {}
    factor = scaling.get("factor")
    if scaling.get("type") != "ntk" or "mixed_b" in scaling or not isinstance(factor, int | float) or factor <= 0:
        return rotary(config, s.head_dim)
    slower = {"rope_type": "linear", "factor": factor ** (2 / s.head_dim), "rope_theta": config["rope_theta"] * factor}
    return rotary(config, s.head_dim, settings=slower)
