"""What BERT and its kin share: a layer whose norms act after the sums, under BERT's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.attention import EVERYTHING
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.feed_forward import MLP
from weightscope.components.norm import Norm
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import Heads, classes, first_classes, masked, post_norm_block, seen, transform
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size

BERT: dict[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "is_decoder": False, "is_causal": Nullable(bool), "add_cross_attention": False,
    "tie_word_embeddings": True,
    # A key of older classes, which had other positions too.
    "position_embedding_type": Nullable(str), "architectures": Nullable(list),
}  # fmt: skip
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
NEEDS = ("hidden_size", "num_hidden_layers")
OLD = "with TensorFlow's names of norms"
PROJECTIONS = {
    "self.query": Role.Q_PROJ, "self.key": Role.K_PROJ, "self.value": Role.V_PROJ, "output.dense": Role.O_PROJ,
}  # fmt: skip


def roots_of(prefix: str) -> tuple[str, ...]:
    """With the prefix and without, each with today's names of norms and with TensorFlow's."""
    return prefix, "", f"{prefix}, {OLD}", f", {OLD}"


def spelled(config: Config, root: str) -> tuple[str, Callable[[str, Role, Size], Norm]]:
    """The prefix of a root, and what makes its norms."""
    prefix, _, old = root.partition(", ")
    return prefix, layer_norms(config["layer_norm_eps"], leaves=("gamma", "beta") if old else ("weight", "bias"))


def token_heads(config: Config, width: Size) -> dict[str, Heads]:
    """Classes of each token, and where an answer begins and ends."""
    return {
        "TokenClassification": (classes(width, config.labels, of="tokens"),),
        "QuestionAnswering": (classes(width, config.labels, of="tokens", out="qa_outputs"),),
    }


def roberta_heads(config: Config, width: Size, norm: Callable[[str, Role, Size], Norm]) -> dict[str, Heads]:
    """RoBERTa's: over the vocabulary, of a sequence by its first token, of each token."""
    before = transform(width, "gelu", norm("layer_norm", Role.NORM, width))
    vocabulary = masked(config, width, before, name="lm_head")
    return {
        "MaskedLM": (vocabulary,),
        "SequenceClassification": (first_classes(config, width),),
    } | token_heads(config, width)


def refuse_others(config: Config) -> None:
    """Raise for positions and layers that BERT's kin had once, or may have beside an encoder."""
    positions = config["position_embedding_type"]
    if positions not in (None, "absolute"):
        raise config.undeclared(f"the position_embedding_type {positions!r} is not declared")
    if config["add_cross_attention"]:
        raise config.undeclared("cross-attention is not declared")


def bert_layers(config: Config, s: Dims, norm: Callable[[str, Role, Size], Norm]) -> tuple[Repeat, ...]:
    """`num_hidden_layers` equal ones."""
    return (Repeat(name="encoder.layer", indices=range(s.depth), child=bert_block(config, s, norm)),)


def bert_mlp(config: Config, width: Size) -> MLP:
    """Two matrices under BERT's names, which begin with no module of their own."""
    names = ("intermediate.dense", "output.dense")
    return mlp(width, config["intermediate_size"], config["hidden_act"], name="", names=names, bias=True)


def bert_block(config: Config, s: Dims, norm: Callable[[str, Role, Size], Norm]) -> Block:
    """A layer under BERT's names; that of a decoder sees what is before it, where the class has decoders."""
    sees = seen(config, causal=config["is_decoder"]) if config.declares("is_decoder") else EVERYTHING
    attention = self_attention(s, linears(PROJECTIONS, bias=True), name="attention", sees=sees)
    return post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=bert_mlp(config, s.width))
