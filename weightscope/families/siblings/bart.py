"""The layers of BART and its kin: norms after the sums, or before them (mBART), positions learned or fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from weightscope.components.attention import CAUSAL, EVERYTHING, Attention, Heads
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward import MLP
from weightscope.components.halves import SOURCE, CrossBlock, Stack
from weightscope.components.norm import Norm
from weightscope.components.sinusoids import Sinusoids, SinusoidTable
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, layer_norms, numbered
from weightscope.families.common.parts import linears, mlp
from weightscope.roles import Role
from weightscope.sizes import Size

BART: dict[str, Any] = {
    "vocab_size": 50265, "max_position_embeddings": 1024, "d_model": 1024, "encoder_layers": 12,
    "encoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_layers": 12, "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16, "activation_function": "gelu", "scale_embedding": False,
    "tie_word_embeddings": True, "decoder_start_token_id": Nullable(int, 2), "eos_token_id": Nullable(object, 2),
    "architectures": Nullable(list),
    # No field of the classes, but transformers' masks obey it of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
NAMES = {
    "num_attention_heads": "encoder_attention_heads", "hidden_size": "d_model", "num_hidden_layers": "encoder_layers",
}  # fmt: skip
NEEDS = ("d_model", "encoder_layers", "decoder_layers")
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
NORM = layer_norms(1e-5)
Positions = Callable[[Config], Embedding | Sinusoids]


class Kind(NamedTuple):
    """How one of the kin differs.

    Its norms act `before` the sums, and once more after the last layer. Its `positions`; whether a norm acts on the
    embeddings, and in the decoder on the tokens alone. Its `layers`, where they are not BART's.
    """

    before: bool
    positions: Positions
    normed: bool = False
    norms_tokens: bool = False
    layers: Callable[[Config, str, Kind], tuple[Repeat, ...]] | None = None


def learned(offset: int = 0) -> Positions:
    """A table of positions, whose first rows stand for nothing."""
    return lambda config: Embedding(
        name="embed_positions",
        role=Role.POSITION_EMBEDDING,
        rows=config["max_position_embeddings"] + offset,
        width=config["d_model"],
        offset=offset,
    )


def fixed(config: Config) -> SinusoidTable:
    """A frozen table of sines and cosines."""
    return SinusoidTable(name="embed_positions", rows=config["max_position_embeddings"], width=config["d_model"])


def stack(config: Config, name: str, kind: Kind, *, table_copy: str = "embed_tokens.weight") -> Stack:
    """The encoder or the decoder, by its name."""
    width, writes = config["d_model"], name == "decoder"
    return Stack(
        name=name,
        width=width,
        vocabulary=config["vocab_size"],
        table_copy=table_copy,
        positions=kind.positions(config),
        embedding_norm=embedding_norm(kind, width),
        norms_tokens=kind.norms_tokens and writes,
        blocks=(kind.layers or layers)(config, name, kind),
        depth=depth_of(config, f"{name}_layers"),
        final_norm=final_norm(kind, width),
        label=name,
    )


def embedding_norm(kind: Kind, width: Size) -> Norm | None:
    """What acts on the embeddings, in some."""
    return NORM("layernorm_embedding", Role.EMBEDDING_NORM, width) if kind.normed else None


def final_norm(kind: Kind, width: Size) -> Norm | None:
    """What acts after the last layer, where norms come before the sums."""
    return NORM("layer_norm", Role.FINAL_NORM, width) if kind.before else None


def layers(config: Config, name: str, kind: Kind) -> tuple[Repeat, ...]:
    """The layers of the encoder or the decoder; those of a decoder look at the encoder."""
    build = decoder_layer if name == "decoder" else encoder_layer
    block = build(config, kind)
    return numbered("layers", depth_of(config, f"{name}_layers"), lambda _: block)


def encoder_layer(config: Config, kind: Kind) -> Block:
    """Attention to all of the text, and the feed-forward half."""
    width, before = config["d_model"], kind.before
    first, last = norms(width)
    return Block(
        input_norm=first if before else None,
        attention=attention(config, "encoder", "self_attn"),
        attention_out_norm=None if before else first,
        feed_forward_norm=last if before else None,
        feed_forward=feed_forward(config, "encoder"),
        feed_forward_out_norm=None if before else last,
        norms_sums=not before,
    )


def decoder_layer(config: Config, kind: Kind) -> CrossBlock:
    """Attention to what is written so far, a look at the encoder, and the feed-forward half."""
    width, before = config["d_model"], kind.before
    first, last = norms(width)
    return CrossBlock(
        input_norm=first if before else None,
        attention=attention(config, "decoder", "self_attn"),
        attention_out_norm=None if before else first,
        cross_norm=NORM("encoder_attn_layer_norm", Role.CROSS_NORM, width),
        cross=attention(config, "decoder", "encoder_attn", SOURCE),
        feed_forward_norm=last if before else None,
        feed_forward=feed_forward(config, "decoder"),
        feed_forward_out_norm=None if before else last,
        norms_sums=not before,
    )


def norms(width: Size) -> tuple[Norm, Norm]:
    """Those of attention and of the feed-forward half."""
    return (
        NORM("self_attn_layer_norm", Role.POST_ATTENTION_NORM, width),
        NORM("final_layer_norm", Role.POST_FEEDFORWARD_NORM, width),
    )


def attention(config: Config, side: str, name: str, source: str = "") -> Attention:
    """One of a stack's attentions; that of the decoder to itself sees what is before."""
    width, heads = config["d_model"], config[f"{side}_attention_heads"]
    if width % heads:
        raise config.error(f"{width.text} {width:,} is not a multiple of {heads.text} {heads:,}")
    return Attention(
        name=name,
        projections=linears(PROJECTIONS, bias=True),
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads),
        sees=CAUSAL if side == "decoder" and not source else EVERYTHING,
        source=source,
    )


def feed_forward(config: Config, side: str) -> MLP:
    """Two matrices and an activation."""
    inner, activation = config[f"{side}_ffn_dim"], config["activation_function"]
    return mlp(config["d_model"], inner, activation, name="", names=("fc1", "fc2"), bias=True)
