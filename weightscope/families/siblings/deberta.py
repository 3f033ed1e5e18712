"""What the versions of DeBERTa share: attention as configs say it, embeddings, heads, what files have besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.attention.disentangled import Disentangled, Distances
from weightscope.components.base import Component
from weightscope.components.embedding import Head
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.encoder_heads import MaskedHead
from weightscope.components.norm import Norm
from weightscope.components.unused import Unused
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.encoders import Heads, classes, masked, table, transform
from weightscope.families.siblings.bert import token_heads
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer
from weightscope.storage.shared import SharedBias

DEBERTA: dict[str, Any] = {
    "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 0,
    "layer_norm_eps": 1e-7, "relative_attention": False, "max_relative_positions": -1.0, "position_biased_input": True,
    "pos_att_type": Nullable(object), "pooler_hidden_act": "gelu", "legacy": True, "tie_word_embeddings": True,
    # Lengths that may be -1, for none, are floats here: whole numbers are held to be no less than 0.
    # The next are no fields of the class, which reads them where a config has them.
    "embedding_size": Nullable(int), "pooler_hidden_size": Nullable(int), "talking_head": False,
}  # fmt: skip
DEBERTA_V2 = {key: value for key, value in DEBERTA.items() if key != "talking_head"} | {
    "vocab_size": 128100, "hidden_size": 1536, "num_hidden_layers": 24, "num_attention_heads": 24,
    "intermediate_size": 6144, "attention_head_size": Nullable(int), "share_att_key": False, "position_buckets": -1.0,
    "norm_rel_ebd": "none", "conv_kernel_size": 0,
}  # fmt: skip


def kinds_of(config: Config) -> list[str]:
    """`pos_att_type`: a list, or words between bars.

    Raises:
        ConfigError: neither.
    """
    said = config["pos_att_type"]
    if isinstance(said, str):
        return [word.strip() for word in said.lower().split("|")]
    if said is None or (isinstance(said, list) and all(isinstance(word, str) for word in said)):
        return list(said or ())
    raise config.error(f"'pos_att_type' is {said!r:.60}, neither a list of words nor words between bars")


def distances_of(config: Config, *, second: bool) -> Distances | None:
    """Rows for `max_relative_positions` each way, or in the second version for `position_buckets`."""
    if not config["relative_attention"]:
        return None
    farthest = config["max_relative_positions"]
    farthest = config["max_position_embeddings"] if farthest < 1 else farthest
    if second and config["position_buckets"] > 0:
        return Distances(span=config["position_buckets"], buckets=True, farthest=int(farthest))
    return Distances(span=farthest)


def attention_v1(config: Config, s: Dims, distances: Distances | None) -> Disentangled:
    """Queries, keys and values of each head in turn, two of them with biases of their own names."""
    kinds = kinds_of(config)
    items: list[StorageItem] = [
        Linear("self.in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, groups=int(s.heads.count)),
        SharedBias("self.q_bias", Role.Q_PROJ),
        SharedBias("self.v_bias", Role.V_PROJ),
    ]
    if distances and "c2p" in kinds:
        items.append(Linear("self.pos_proj", Role.POSITION_K_PROJ))
    if distances and "p2c" in kinds:
        items.append(Linear("self.pos_q_proj", Role.POSITION_Q_PROJ, bias=True))
    return Disentangled(
        name="attention",
        projections=(*items, Linear("output.dense", Role.O_PROJ, bias=True)),
        width=s.width,
        heads=s.heads,
        distances=distances,
        to_position="c2p" in kinds,
        from_position="p2c" in kinds,
        terms_counted=1 + len(kinds),
    )


def attention_v2(config: Config, s: Dims, distances: Distances | None) -> Disentangled:
    """A matrix for each; with `share_att_key` those of keys and queries serve distances as well."""
    kinds, shared = kinds_of(config), config["share_att_key"]
    names = {"self.query_proj": Role.Q_PROJ, "self.key_proj": Role.K_PROJ, "self.value_proj": Role.V_PROJ}
    if distances and not shared and "c2p" in kinds:
        names["self.pos_key_proj"] = Role.POSITION_K_PROJ
    if distances and not shared and "p2c" in kinds:
        names["self.pos_query_proj"] = Role.POSITION_Q_PROJ
    names["output.dense"] = Role.O_PROJ
    return Disentangled(
        name="attention",
        projections=tuple(Linear(name, role, bias=True) for name, role in names.items()),
        width=s.width,
        heads=s.heads,
        distances=distances,
        to_position="c2p" in kinds,
        from_position="p2c" in kinds,
        terms_counted=1 + ("c2p" in kinds) + ("p2c" in kinds),
        shared=shared,
    )


def embeddings(config: Config, width: Size, norm: Callable[[str, Role, Size], Norm]) -> TokenEmbeddings:
    """Words, and positions and types where the config has any."""
    positions, types = config["max_position_embeddings"], config["type_vocab_size"]
    placed = table("position_embeddings", Role.POSITION_EMBEDDING, positions, width)
    typed = table("token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, types, width)
    return TokenEmbeddings(
        name="embeddings",
        words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], width),
        positions=placed if config["position_biased_input"] else None,
        types=typed if types > 0 else None,
        norm=norm("LayerNorm", Role.EMBEDDING_NORM, width),
        buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), positions)),),
    )


def known_heads(config: Config, width: Size, norm: Callable[[str, Role, Size], Norm]) -> dict[str, Heads]:
    """BERT's head over the vocabulary, or where `legacy` is false DeBERTa's own, which is always tied."""
    inner = transform(width, config["hidden_act"], norm("LayerNorm", Role.NORM, width), name="transform")
    vocabulary: MaskedHead = masked(config, width, inner, name="cls.predictions")
    if not config["legacy"]:
        vocabulary = MaskedHead(
            name="lm_predictions.lm_head",
            before=transform(width, config["hidden_act"], norm("LayerNorm", Role.NORM, width)),
            decoder=Head(name="decoder", vocabulary=config["vocab_size"], width=width, tied=True),
            copies=(),
        )
    pooled = config["pooler_hidden_size"]
    if config.task in ("SequenceClassification", "MultipleChoice") and pooled not in (None, width):
        raise config.undeclared(f"DeBERTa with pooler_hidden_size {pooled:,} is not declared")
    before = transform(width, config["pooler_hidden_act"], name="pooler")
    return {
        "MaskedLM": (vocabulary,),
        "SequenceClassification": (classes(width, config.labels, of="first", before=before),),
        "MultipleChoice": (classes(width, 1, of="first", before=before),),
    } | token_heads(config, width)


def spare(config: Config, width: Size) -> tuple[Component, ...]:
    """What published base models have of their training: DeBERTa's own heads."""
    square = {"dense.weight": (width, width), "dense.bias": (width,)}
    norm = {"LayerNorm.weight": (width,), "LayerNorm.bias": (width,)}
    words = {"bias": (config["vocab_size"],)}
    replaced = {"classifier.weight": (Size(1), width), "classifier.bias": (Size(1),)}
    return (
        Unused(name="lm_predictions.lm_head", shapes=tuple((square | norm | words).items())),
        Unused(name="mask_predictions", shapes=tuple((square | norm | replaced).items())),
    )
