"""XLNet (arXiv 1906.08237): relative positions, and segments of any number. Source: `XLNetConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.transformer_xl import SegmentedAttention
from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.encoder_heads import EncoderHead, Of
from weightscope.components.segmented_tokens import SegmentedTokens
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import classes, heads_of, post_norm_block, table, transform, vocabulary_head
from weightscope.families.common.parts import mlp
from weightscope.families.common.refusals import refuse, require
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size

XLNET: dict[str, Any] = {
    "vocab_size": 32000, "d_model": 1024, "n_layer": 24, "n_head": 16, "d_inner": 4096, "d_head": Nullable(int),
    "ff_activation": "gelu", "attn_type": "bi", "layer_norm_eps": 1e-12, "bi_data": False, "clamp_len": -1.0,
    "same_length": False, "summary_type": "last", "summary_use_proj": True, "summary_activation": "tanh",
    "summary_proj_to_labels": False, "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
NAMES = {
    "n_token": "vocab_size", "hidden_size": "d_model", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer",
}  # fmt: skip
SUMMARIES: dict[str, Of] = {"last": "last", "first": "first", "mean": "mean", "cls_index": "last"}


@family("xlnet", roots=("transformer", ""), defaults=XLNET, attribute_map=NAMES, needs=("d_model", "n_layer", "n_head"))
def xlnet(config: Config, root: str) -> EncoderModel:
    """The stream of predicted tokens is of pretraining alone, and is not computed."""
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    refuse(config, "XLNet", ("bi_data",))
    known = {
        "LMHeadModel": (vocabulary_head(config, s.width, None, decoder="lm_loss"),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
        "QuestionAnsweringSimple": (classes(s.width, config.labels, of="tokens", out="qa_outputs"),),
    }
    if config.task in ("SequenceClassification", "MultipleChoice"):
        known[config.task] = (summary(config, s.width),)
    block = post_norm_block(
        norm,
        s.width,
        ("rel_attn.layer_norm", "ff.layer_norm"),
        attention=attention(config, s),
        feed_forward=mlp(
            s.width, config["d_inner"], config["ff_activation"], name="ff", names=("layer_1", "layer_2"), bias=True
        ),
    )
    words = table("word_embedding", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width)
    return EncoderModel(
        encoder=Encoder(
            name=root,
            embeddings=SegmentedTokens(words=words),
            blocks=(Repeat(name="layer", indices=range(s.depth), child=block),),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )


def attention(config: Config, s: Dims) -> SegmentedAttention:
    """To all tokens, or to those before."""
    count, size = s.heads.count, config["d_head"] or s.head_dim
    if s.width % 2 or s.width % count:
        raise config.error(f"{s.width.text} {s.width:,} is odd, or no multiple of {count.text} {count:,}")
    if size != s.head_dim:
        raise config.error(f"d_head is {size:,}, and {s.width.text}/{count.text} {s.head_dim:,}")
    if config["attn_type"] not in ("bi", "uni"):
        raise config.error(f"attn_type is {config['attn_type']!r:.60}, neither bi nor uni")
    causal = config["attn_type"] == "uni"
    if causal:
        refuse(config, "XLNet that sees what is before", ("same_length",))
    clamp = max(int(config["clamp_len"]), 0)
    return SegmentedAttention(name="rel_attn", width=s.width, heads=s.heads, causal=causal, clamp=clamp)


def summary(config: Config, width: Size) -> EncoderHead:
    """Classes of one vector, which `summary_type` chooses; one score of each choice."""
    refuse(config, "XLNet", ("summary_proj_to_labels",))
    require(config, "XLNet", {"summary_use_proj": True})
    chosen = config["summary_type"]
    if chosen not in SUMMARIES:
        raise config.undeclared(f"XLNet with summary_type {chosen!r:.60} is not declared")
    before = transform(width, config["summary_activation"], name="sequence_summary", dense="summary")
    labels = 1 if config.task == "MultipleChoice" else config.labels
    return classes(width, labels, of=SUMMARIES[chosen], out="logits_proj", before=before)
