"""The audio tower of Gemma 4, a conformer (arXiv 2005.08100)."""

from __future__ import annotations

import math
from typing import Any

from weightscope.components.attention import Heads
from weightscope.components.audio.conformer import ConformerLayer
from weightscope.components.audio.conformer_tower import ConformerTower
from weightscope.components.audio.local_attention import Distances, LocalAttention
from weightscope.components.audio.spectrogram import SpectrogramConvolution, SpectrogramStem
from weightscope.components.base import Repeat
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import depth_of, layer_norms
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.siblings.conformer import NORM, half_step, light_convolution
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.base import StorageItem
from weightscope.storage.clipped import ClippedLinear
from weightscope.storage.linear import Linear

GEMMA4_AUDIO: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 8, "subsampling_conv_channels": [128, 32],
    "conv_kernel_size": 5, "use_clipped_linears": True, "rms_norm_eps": 1e-6, "output_proj_dims": 1536,
    "hidden_act": "silu", "residual_weight": 0.5, "attention_chunk_size": 12, "attention_context_left": 13,
    "attention_context_right": 0, "attention_logit_cap": 50.0, "gradient_clipping": 1e10,
}  # fmt: skip
# What keys are multiplied by.
KEY_SCALE = math.log(1 + math.e) / math.log(2)
QKV = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ}


class Matrices:
    """The items of matrices that are bounded, or not."""

    def __init__(self, *, clipped: bool) -> None:
        self.clipped = clipped

    def __call__(self, name: str, role: Role) -> StorageItem:
        """One matrix; its module holds it as `linear` either way."""
        return ClippedLinear(name, role) if self.clipped else Linear(f"{name}.linear", role)


def conformer(config: Config, name: str) -> ConformerTower:
    """Two convolutions, layers of attention and convolution between two MLPs, and a matrix.

    Raises:
        ConfigError: another number of convolutions.
    """
    width, bound, activation = config["hidden_size"], config["gradient_clipping"], config["hidden_act"]
    matrices = Matrices(clipped=config["use_clipped_linears"])
    first, last = (
        half_step(name, width, matrices, activation=activation, share=config["residual_weight"], bound=bound)
        for name in ("feed_forward1", "feed_forward2")
    )
    eps, kernel = config["rms_norm_eps"], config["conv_kernel_size"]
    layer = ConformerLayer(
        first=first,
        attention_norm=NORM("norm_pre_attn", Role.NORM, width),
        attention=_attention(config, matrices),
        attention_out_norm=NORM("norm_post_attn", Role.NORM, width),
        convolution=light_convolution(width, kernel, matrices, eps=eps, activation=activation, bound=bound),
        last=last,
        norm=NORM("norm_out", Role.NORM, width),
        bound=bound,
    )
    return ConformerTower(
        name=name,
        width=width,
        stem=_stem(config, width),
        blocks=(Repeat(name="layers", indices=range(depth_of(config)), child=layer),),
        out=Projection(
            name="output_proj", inputs=width, outputs=config["output_proj_dims"], bias=True, role=Role.OUT_PROJ
        ),
    )


def _stem(config: Config, width: Size) -> SpectrogramStem:
    channels = tuple(map(size, layer_numbers(config, "subsampling_conv_channels")))
    if len(channels) != 2:
        raise config.error(f"subsampling_conv_channels has {len(channels)} numbers, not 2")
    norm = layer_norms(config["rms_norm_eps"], bias=False)
    return SpectrogramStem(
        name="subsample_conv_projection",
        convolutions=tuple(
            SpectrogramConvolution(
                name=f"layer{number}", inputs=taken, outputs=made, norm=norm("norm", Role.NORM, made)
            )
            for number, (taken, made) in enumerate(zip((Size(1), channels[0]), channels, strict=True))
        ),
        # As many as a quarter of the bins, of which the class has one for each channel.
        frequencies=channels[0] // 4,
        width=width,
    )


def _attention(config: Config, matrices: Matrices) -> LocalAttention:
    """The window leaves out its first frame on either side; distances count from the middle of a chunk's context."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    past, future = int(config["attention_context_left"]) - 1, int(config["attention_context_right"])
    middle = (int(config["attention_chunk_size"]) + past + future) // 2
    return LocalAttention(
        name="self_attn",
        projections=(*(matrices(word, role) for word, role in QKV.items()), matrices("post", Role.O_PROJ)),
        relative="relative_k_proj",
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads),
        distances=Distances(before=past - 1, after=max(future - 1, 0), lowest=0, highest=middle, shift=middle - past),
        cap=config["attention_logit_cap"],
        key_scale=KEY_SCALE,
    )
