"""EuroBERT (arXiv 2503.05500): Llama's layers, in which all see all. Source: `EuroBertConfig` of transformers."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.components.encoder_heads import Of
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, rms_norms, rotary
from weightscope.families.common.causal_lm import token_embedding
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.encoders import classes, heads_of, seen, transform, vocabulary_head
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

EUROBERT = LLAMA | {
    "vocab_size": 128256, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "is_causal": Nullable(bool),
    "classifier_pooling": "late",
}  # fmt: skip
POOLS: dict[str, Of] = {"bos": "first", "mean": "mean", "late": "tokens"}


@family("eurobert", roots=("model", ""), defaults=EUROBERT)
def eurobert(config: Config, root: str) -> EncoderModel:
    """A classifier sees the first token, the mean of all, or with `late` each, whose scores then count equally."""
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    bias, pooling = config["attention_bias"], config["classifier_pooling"]
    block = pre_norm_block(
        norm,
        s.width,
        attention=self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            positions=rotary(config, s.head_dim),
            sees=seen(config),
        ),
        feed_forward=gated_mlp(config, "mlp", bias=config["mlp_bias"]),
    )
    known = {
        "MaskedLM": (vocabulary_head(config, s.width, None, decoder="lm_head", bias=config["mlp_bias"]),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
    }
    if config.task == "SequenceClassification":
        if pooling not in POOLS:
            raise config.undeclared(f"EuroBERT with classifier_pooling {pooling!r:.60} is not declared")
        before, late = transform(s.width, "gelu"), pooling == "late"
        scored = classes(s.width, config.labels, of=POOLS[pooling], before=before, averaged=late)
        known["SequenceClassification"] = (scored,)
    return EncoderModel(
        encoder=Encoder(
            name=root,
            embeddings=TokenEmbeddings(words=token_embedding(config)),
            blocks=(Repeat(name="layers", indices=range(s.depth), child=block),),
            final_norm=norm("norm", Role.FINAL_NORM, s.width),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )
