"""XLNet (arXiv 1906.08237): relative positions, and segments of any number. Source: `XLNetConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.segmented_tokens import SegmentedTokens
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import Heads, classes, heads_of, post_norm_block, table, vocabulary_head
from weightscope.families.common.parts import mlp
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.families.siblings.xlnet import answers, attention, summary
from weightscope.roles import Role

XLNET: dict[str, Any] = {
    "vocab_size": 32000, "d_model": 1024, "n_layer": 24, "n_head": 16, "d_inner": 4096, "d_head": Nullable(int),
    "ff_activation": "gelu", "attn_type": "bi", "layer_norm_eps": 1e-12, "bi_data": False, "clamp_len": -1.0,
    "same_length": False, "summary_type": "last", "summary_use_proj": True, "summary_activation": "tanh",
    "summary_proj_to_labels": False, "start_n_top": 5, "end_n_top": 5, "tie_word_embeddings": True,
    "architectures": Nullable(list),
}  # fmt: skip
NAMES = {
    "n_token": "vocab_size", "hidden_size": "d_model", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer",
}  # fmt: skip


@family("xlnet", roots=("transformer", ""), defaults=XLNET, attribute_map=NAMES, needs=("d_model", "n_layer", "n_head"))
def xlnet(config: Config, root: str) -> EncoderModel:
    """The stream of predicted tokens is of pretraining alone, and is not computed."""
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    refuse(config, "XLNet", ("bi_data",))
    known: dict[str, Heads] = {
        "LMHeadModel": (vocabulary_head(config, s.width, None, decoder="lm_loss"),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
        "QuestionAnsweringSimple": (classes(s.width, config.labels, of="tokens", out="qa_outputs"),),
    }
    if config.task == "QuestionAnswering":
        known[config.task] = (answers(config, s.width),)
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
