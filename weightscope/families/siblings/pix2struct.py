"""Pix2Struct's halves: T5's norms and scores in both, a decoder under names of its own."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import CAUSAL, EVERYTHING, Attention, Heads
from weightscope.components.attention.relative import Relative
from weightscope.components.attention.sees import Sees
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.halves import SOURCE, CrossBlock, Stack
from weightscope.components.projection import Projection
from weightscope.components.vision.patch_source import PatchSource
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, numbered, rms_norms
from weightscope.families.common.parts import gated_mlp, linears
from weightscope.families.siblings.t5 import UNSCALED
from weightscope.roles import Role
from weightscope.sizes import Size

TEXT: dict[str, Any] = {
    "vocab_size": 50244, "hidden_size": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
    "dense_act_fn": "gelu_new", "decoder_start_token_id": 0, "is_causal": Nullable(bool),
}  # fmt: skip
TEXT_NAMES = {
    "num_attention_heads": "num_heads", "num_hidden_layers": "num_layers", "decoder_attention_heads": "num_heads",
    "encoder_attention_heads": "num_heads", "encoder_layers": "num_layers", "decoder_layers": "num_layers",
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 768, "patch_embed_hidden_size": 768, "d_ff": 2048, "d_kv": 64, "num_hidden_layers": 12,
    "num_attention_heads": 12, "dense_act_fn": "gelu_new", "layer_norm_eps": 1e-6, "seq_len": 4096,
    # No field of the class, but transformers' masks obey it of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
PROJECTIONS = {"query": Role.Q_PROJ, "key": Role.K_PROJ, "value": Role.V_PROJ, "output": Role.O_PROJ}


def encoder(config: Config) -> PatchSource:
    """Patches see all others of their image."""
    width, norm = config["hidden_size"], rms_norms(config["layer_norm_eps"])
    block = Block(
        input_norm=norm("pre_attention_layer_norm", Role.INPUT_NORM, width),
        attention=_attention(config, "attention", config["num_attention_heads"], EVERYTHING),
        feed_forward_norm=norm("pre_mlp_layer_norm", Role.POST_ATTENTION_NORM, width),
        feed_forward=_mlp(config, "mlp"),
    )
    inputs, depth = config["patch_embed_hidden_size"], depth_of(config)

    def places(name: str) -> Embedding:
        return Embedding(name=f"embeddings.{name}", role=Role.POSITION_EMBEDDING, rows=config["seq_len"], width=width)

    return PatchSource(
        name="encoder",
        projection=Projection(
            name="embeddings.patch_projection", inputs=inputs, outputs=width, bias=True, role=Role.PATCH_EMBEDDING
        ),
        rows=places("row_embedder"),
        columns=places("column_embedder"),
        blocks=numbered("encoder.layer", depth, lambda _: block),
        final_norm=norm("layernorm", Role.FINAL_NORM, width),
        depth=depth,
    )


def decoder(config: Config) -> Stack:
    """The first layer has the table of distances; all look at what the encoder makes.

    Raises:
        ConfigError: the heads are not as wide as the layers.
    """
    width, norm, heads = config["hidden_size"], rms_norms(config["layer_norm_epsilon"]), config["num_heads"]

    if heads * config["d_kv"] != width:
        raise config.error(f"{heads.text} {heads:,} of d_kv {config['d_kv']:,} are not {width.text} {width:,} together")

    def layer(i: int) -> CrossBlock:
        distances = Relative(
            buckets=config["relative_attention_num_buckets"],
            farthest=config["relative_attention_max_distance"],
            both=False,
            table="" if i else "relative_attention_bias",
            group="decoder",
        )
        return CrossBlock(
            input_norm=norm("self_attention.layer_norm", Role.INPUT_NORM, width),
            attention=_attention(config, "self_attention.attention", heads, CAUSAL, positions=distances),
            cross_norm=norm("encoder_decoder_attention.layer_norm", Role.CROSS_NORM, width),
            cross=_attention(config, "encoder_decoder_attention.attention", heads, EVERYTHING, source=SOURCE),
            feed_forward_norm=norm("mlp.layer_norm", Role.POST_ATTENTION_NORM, width),
            feed_forward=_mlp(config, "mlp.DenseReluDense"),
        )

    depth = depth_of(config, "num_layers")
    return Stack(
        name="decoder",
        width=width,
        vocabulary=config["vocab_size"],
        table_copy="",
        blocks=numbered("layer", depth, layer),
        depth=depth,
        final_norm=norm("final_layer_norm", Role.FINAL_NORM, width),
        label="decoder",
    )


def _attention(
    config: Config,
    name: str,
    heads: Size,
    sees: Sees,
    *,
    positions: Relative | None = None,
    source: str = "",
) -> Attention:
    return Attention(
        name=name,
        projections=linears(PROJECTIONS),
        width=config["hidden_size"],
        heads=Heads(count=heads, keys=heads, size=config["d_kv"]),
        positions=positions,
        sees=sees,
        scores=UNSCALED,
        source=source,
    )


def _mlp(config: Config, name: str) -> Component:
    activation = config["dense_act_fn"]
    if activation is None:
        raise config.error(f"{config.prefix}dense_act_fn is null, not an activation")
    return gated_mlp(config, name, inner=config["d_ff"], activation=activation, names=("wi_0", "wi_1", "wo"))
