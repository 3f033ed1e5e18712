"""Whisper's halves, which Qwen2-Audio, Voxtral and speech_to_text take over: norms before, keys without biases."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import CAUSAL, EVERYTHING, Attention, Heads
from weightscope.components.attention.sees import Sees, Segments
from weightscope.components.audio.convolutions import TimeConvolution
from weightscope.components.audio.tower import CLIP, SpeechTower
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.halves import SOURCE, CrossBlock
from weightscope.config import Config
from weightscope.families.common import depth_of, layer_norms, numbered
from weightscope.families.common.parts import mlp
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear

AUDIO_TOWER: dict[str, Any] = {
    "num_mel_bins": 128, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
    "d_model": 1280, "activation_function": "gelu", "max_source_positions": 1500,
}  # fmt: skip
OWN_CLIP = Segments(CLIP, what="frames")
NORM = layer_norms(1e-5)


def tower(config: Config, name: str, *, pool: int = 1) -> SpeechTower:
    """The encoder of speech: two convolutions, the second of which halves the frames, and layers."""
    width, bins = config["d_model"], config["num_mel_bins"]
    depth = depth_of(config, "encoder_layers")
    block = encoder_block(config, OWN_CLIP, key_bias=False)
    return SpeechTower(
        name=name,
        width=width,
        bins=bins,
        convolutions=(
            TimeConvolution(name="conv1", inputs=bins, outputs=width, kernel=Size(3), stride=1, activation="gelu"),
            TimeConvolution(name="conv2", inputs=width, outputs=width, kernel=Size(3), stride=2, activation="gelu"),
        ),
        places=positions(width, config["max_source_positions"]),
        blocks=numbered("layers", depth, lambda _: block),
        depth=depth,
        final_norm=NORM("layer_norm", Role.FINAL_NORM, width),
        pool=pool,
    )


def positions(width: Size, rows: Size) -> Embedding:
    """A table of positions, which transformers stores even where it holds sinusoids."""
    return Embedding(name="embed_positions", role=Role.POSITION_EMBEDDING, rows=rows, width=width)


def encoder_block(config: Config, sees: Sees | Segments, *, key_bias: bool) -> Block:
    """A layer of the encoder."""
    width = config["d_model"]
    return Block(
        input_norm=NORM("self_attn_layer_norm", Role.INPUT_NORM, width),
        attention=attention(config, "encoder", "self_attn", sees, key_bias=key_bias),
        feed_forward_norm=NORM("final_layer_norm", Role.POST_ATTENTION_NORM, width),
        feed_forward=feed_forward(config, "encoder"),
    )


def decoder_block(config: Config, *, key_bias: bool) -> CrossBlock:
    """A layer of the decoder, which looks at the encoder."""
    width = config["d_model"]
    return CrossBlock(
        input_norm=NORM("self_attn_layer_norm", Role.INPUT_NORM, width),
        attention=attention(config, "decoder", "self_attn", CAUSAL, key_bias=key_bias),
        cross_norm=NORM("encoder_attn_layer_norm", Role.CROSS_NORM, width),
        cross=attention(config, "decoder", "encoder_attn", EVERYTHING, key_bias=key_bias, source=SOURCE),
        feed_forward_norm=NORM("final_layer_norm", Role.POST_ATTENTION_NORM, width),
        feed_forward=feed_forward(config, "decoder"),
    )


def attention(
    config: Config, half: str, name: str, sees: Sees | Segments, *, key_bias: bool, source: str = ""
) -> Attention:
    """Attention of one half of the model, by its number of heads."""
    width, heads = config["d_model"], config[f"{half}_attention_heads"]
    if width % heads:
        raise config.error(f"{width.text} {width:,} is not a multiple of {heads.text} {heads:,}")
    return Attention(
        name=name,
        projections=projections(key_bias=key_bias),
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads),
        sees=sees,
        source=source,
    )


def projections(*, key_bias: bool) -> tuple[StorageItem, ...]:
    """Four matrices with biases, but the keys' only where it says so."""
    return (
        Linear("q_proj", Role.Q_PROJ, bias=True),
        Linear("k_proj", Role.K_PROJ, bias=key_bias),
        Linear("v_proj", Role.V_PROJ, bias=True),
        Linear("out_proj", Role.O_PROJ, bias=True),
    )


def feed_forward(config: Config, half: str) -> MLP:
    """Two matrices with biases."""
    width, inner = config["d_model"], config[f"{half}_ffn_dim"]
    return mlp(width, inner, config["activation_function"], name="", names=("fc1", "fc2"), bias=True)
