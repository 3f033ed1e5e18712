"""A stack of BART's layers: norms after the sums, or before them (mBART), positions learned from row 2 on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.attention import CAUSAL, EVERYTHING, Attention, Heads
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm
from weightscope.components.seq2seq import SOURCE, CrossBlock, Stack
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, layer_norms, numbered
from weightscope.families.common.parts import linears, mlp
from weightscope.roles import Role
from weightscope.sizes import Size

BART: dict[str, Any] = {
    "vocab_size": 50265, "max_position_embeddings": 1024, "d_model": 1024, "encoder_layers": 12,
    "encoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_layers": 12, "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16, "activation_function": "gelu", "scale_embedding": False,
    "tie_word_embeddings": True, "decoder_start_token_id": Nullable(int, 2), "architectures": Nullable(list),
}  # fmt: skip
NAMES = {
    "num_attention_heads": "encoder_attention_heads", "hidden_size": "d_model", "num_hidden_layers": "encoder_layers",
}  # fmt: skip
MBART = BART | {"decoder_start_token_id": Nullable(int)}
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}
# The first rows of the positions stand for nothing.
OFFSET = 2


def stack(config: Config, name: str, *, before: bool) -> Stack:
    """The encoder or the decoder, by its name; its norms act `before`, and once more after the last layer."""
    width, norm, writes = config["d_model"], layer_norms(1e-5), name == "decoder"
    heads = config[f"{name}_attention_heads"]
    if width % heads:
        raise config.error(f"{width.text} {width:,} is not a multiple of {heads.text} {heads:,}")

    def attention(name: str, source: str = "") -> Attention:
        return Attention(
            name=name,
            projections=linears(PROJECTIONS, bias=True),
            width=width,
            heads=Heads(count=heads, keys=heads, size=width // heads),
            sees=CAUSAL if writes and not source else EVERYTHING,
            source=source,
        )

    feed_forward = mlp(
        width, config[f"{name}_ffn_dim"], config["activation_function"], name="", names=("fc1", "fc2"), bias=True
    )
    first, last = norms(norm, width)
    block = Block(
        input_norm=first if before else None,
        attention=attention("self_attn"),
        attention_out_norm=None if before else first,
        feed_forward_norm=last if before else None,
        feed_forward=feed_forward,
        feed_forward_out_norm=None if before else last,
        norms_sums=not before,
    )
    if writes:
        block = CrossBlock(
            input_norm=block.input_norm,
            attention=block.attention,
            attention_out_norm=block.attention_out_norm,
            cross_norm=norm("encoder_attn_layer_norm", Role.CROSS_NORM, width),
            cross=attention("encoder_attn", SOURCE),
            feed_forward_norm=block.feed_forward_norm,
            feed_forward=feed_forward,
            feed_forward_out_norm=block.feed_forward_out_norm,
            norms_sums=block.norms_sums,
        )
    depth = depth_of(config, f"{name}_layers")
    return Stack(
        name=name,
        width=width,
        vocabulary=config["vocab_size"],
        positions=Embedding(
            name="embed_positions",
            role=Role.POSITION_EMBEDDING,
            rows=config["max_position_embeddings"] + OFFSET,
            width=width,
            offset=OFFSET,
        ),
        embedding_norm=norm("layernorm_embedding", Role.EMBEDDING_NORM, width),
        blocks=numbered("layers", depth, lambda _: block),
        depth=depth,
        final_norm=norm("layer_norm", Role.FINAL_NORM, width) if before else None,
        label=name,
    )


def norms(norm: Callable[[str, Role, Size], Norm], width: Size) -> tuple[Norm, Norm]:
    """Those of attention and of the feed-forward half."""
    return (
        norm("self_attn_layer_norm", Role.POST_ATTENTION_NORM, width),
        norm("final_layer_norm", Role.POST_FEEDFORWARD_NORM, width),
    )
