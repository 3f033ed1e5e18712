"""The audio towers of Qwen's omni models: Whisper's layers over chunks of a spectrogram."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Segments
from weightscope.components.audio.chunked_tower import CHUNK
from weightscope.components.audio.convolutions import TimeConvolution
from weightscope.components.audio.plane_tower import Halving, PlaneTower
from weightscope.components.audio.pooled_tower import PooledTower
from weightscope.components.base import Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import depth_of
from weightscope.families.common.multimodal import part
from weightscope.families.siblings.whisper import NORM, encoder_block
from weightscope.roles import Role
from weightscope.sizes import Size

AUDIO: dict[str, Any] = {
    "num_mel_bins": 128, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120, "d_model": 1280,
    "activation_function": "gelu", "max_source_positions": 1500, "output_dim": 3584,
}  # fmt: skip
PLANE = {"n_window": 50, "n_window_infer": 800, "downsample_hidden_size": 480}
AUDIO_NAMES = {
    "num_hidden_layers": "encoder_layers", "hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_dim",
}  # fmt: skip


THREE = Size(3)


def pooled_tower(config: Config, name: str) -> PooledTower:
    """Qwen2.5-Omni's: frames are pooled by twos before the last norm."""
    audio = part(config, "audio_config", AUDIO | {"n_window": 100}, AUDIO_NAMES)
    width, bins, outputs = audio["d_model"], audio["num_mel_bins"], audio["output_dim"]
    depth, block = _layers(audio, key_bias=False)
    return PooledTower(
        name=name,
        bins=bins,
        chunk=audio["n_window"] * 2,
        width=width,
        convolutions=(
            TimeConvolution(name="conv1", inputs=bins, outputs=width, kernel=THREE, stride=1, activation="gelu"),
            TimeConvolution(name="conv2", inputs=width, outputs=width, kernel=THREE, stride=2, activation="gelu"),
        ),
        blocks=(block,),
        depth=depth,
        final_norm=NORM("ln_post", Role.FINAL_NORM, width),
        bridge=(Projection(name="proj", inputs=width, outputs=outputs, bias=True),),
        marks=Embedding(name="audio_bos_eos_token", role=Role.AUDIO_MARK, rows=Size(2), width=outputs),
    )


def plane_tower(config: Config, name: str) -> PlaneTower:
    """Qwen3-Omni's: three convolutions over time and bins; frames of `n_window_infer` see each other."""
    audio = part(config, "audio_config", AUDIO | PLANE, AUDIO_NAMES)
    width, inner, outputs = audio["d_model"], audio["downsample_hidden_size"], audio["output_dim"]
    chunk, bins = audio["n_window"] * 2, audio["num_mel_bins"]
    for _ in range(3):
        bins = (bins + 1) // 2
    halving = (
        Halving(name=f"conv2d{number}", inputs=inner if number > 1 else Size(1), outputs=inner) for number in (1, 2, 3)
    )
    depth, block = _layers(audio, key_bias=True)
    return PlaneTower(
        name=name,
        bins=audio["num_mel_bins"],
        chunk=chunk,
        width=width,
        convolutions=(
            *halving,
            Projection(name="conv_out", inputs=inner * bins, outputs=width, bias=False, role=Role.EMBEDDING_PROJ),
        ),
        blocks=(block,),
        depth=depth,
        final_norm=NORM("ln_post", Role.FINAL_NORM, width),
        bridge=(
            Projection(name="proj1", inputs=width, outputs=width, bias=True),
            Projection(name="proj2", inputs=width, outputs=outputs, bias=True),
        ),
        activation=audio["activation_function"],
        chunks=int(audio["n_window_infer"] // chunk),
    )


def _layers(audio: Config, *, key_bias: bool) -> tuple[Size, Repeat]:
    """How many there are, and the layers."""
    depth = depth_of(audio, "encoder_layers")
    block = encoder_block(audio, Segments(CHUNK, what="frames"), key_bias=key_bias)
    return depth, Repeat(name="layers", indices=range(depth), child=block)
