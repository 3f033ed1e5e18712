"""Gemma 3n's towers, and what brings images and audio to the language model."""

from __future__ import annotations

from typing import Any

from weightscope.components.apart_tokens import ApartTokens
from weightscope.components.attention import Heads
from weightscope.components.audio.conformer import ConformerLayer
from weightscope.components.audio.conformer_tower import ConformerTower
from weightscope.components.audio.cumulative_norm import CumulativeNorm
from weightscope.components.audio.local_attention import Distances, LocalAttention
from weightscope.components.audio.spectrogram import SpectrogramConvolution, SpectrogramStem
from weightscope.components.base import Repeat
from weightscope.components.vision.mobilenet import MobileNet
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of
from weightscope.families.common.numbers import layer_numbers
from weightscope.families.common.refusals import require
from weightscope.families.siblings.conformer import NORM, half_step, light_convolution
from weightscope.families.siblings.mobilenet_v5 import mobilenet_v5
from weightscope.roles import Role
from weightscope.sizes import Size, size
from weightscope.storage.linear import Linear

VISION: dict[str, Any] = {
    "architecture": "mobilenetv5_300m_enc", "model_args": Nullable(dict), "hidden_size": 2048, "vocab_size": 128,
    "vocab_offset": 262144, "rms_norm_eps": 1e-6,
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "vocab_size": 128, "vocab_offset": 262272, "input_feat_size": 128, "hidden_size": 1536, "rms_norm_eps": 1e-6,
    "gradient_clipping": 1e10, "conf_attention_chunk_size": 12, "conf_attention_context_left": 13,
    "conf_attention_context_right": 0, "conf_attention_logit_cap": 50.0, "conf_num_attention_heads": 8,
    "conf_num_hidden_layers": 12, "conf_conv_kernel_size": 5, "conf_reduction_factor": 4, "conf_residual_weight": 0.5,
    "sscp_conv_channel_size": [128, 32], "sscp_conv_group_norm_eps": 1e-3,
    "sscp_conv_kernel_size": [[3, 3], [3, 3]], "sscp_conv_stride_size": [[2, 2], [2, 2]],
}  # fmt: skip
MULTIPLIER, LARGEST = "channel_multiplier", 64
QKV = {"attn.q_proj": Role.Q_PROJ, "attn.k_proj": Role.K_PROJ, "attn.v_proj": Role.V_PROJ}


def embedder(config: Config, name: str, language: Size) -> ApartTokens:
    """A table of tokens, norms of what comes from it and from the tower, and one matrix for both."""
    return ApartTokens(
        name=name,
        first=int(config["vocab_offset"]),
        rows=config["vocab_size"],
        inputs=config["hidden_size"],
        outputs=language,
        eps=config["rms_norm_eps"],
    )


def timm_tower(config: Config, name: str, *, by_mlx: bool) -> MobileNet:
    """The vision tower as timm builds it; of timm's arguments `channel_multiplier` is declared.

    Raises:
        UndeclaredError: another model, or another argument, by name.
        ConfigError: the factor is no number that channels can be multiplied by.
    """
    require(config, "Gemma 3n", {"architecture": "mobilenetv5_300m_enc"})
    given = dict(config["model_args"] or {})
    multiplier = given.pop(MULTIPLIER, 1.0)
    for key in given:
        raise config.undeclared(
            f"Gemma 3n with the argument {key:.60} of timm (vision_config.model_args) is not declared"
        )
    if type(multiplier) not in (int, float) or not 0 < multiplier <= LARGEST:
        what = f"{config.prefix}model_args.{MULTIPLIER} is {multiplier!r:.60}, not a number from 0 to {LARGEST}"
        raise config.error(what)
    return mobilenet_v5(name, multiplier, by_mlx=by_mlx)


def conformer(config: Config, name: str) -> ConformerTower:
    """Two convolutions, then layers of attention and convolution between two MLPs."""
    width, bound, share = config["hidden_size"], config["gradient_clipping"], config["conf_residual_weight"]
    first, last = (
        half_step(name, width, Linear, activation="silu", share=share, bound=bound)
        for name in ("ffw_layer_start", "ffw_layer_end")
    )
    eps, kernel = config["rms_norm_eps"], config["conf_conv_kernel_size"]
    layer = ConformerLayer(
        first=first,
        attention_norm=NORM("attention.pre_attn_norm", Role.INPUT_NORM, width),
        attention=_attention(config),
        attention_out_norm=NORM("attention.post_norm", Role.POST_ATTENTION_NORM, width),
        convolution=light_convolution(width, kernel, Linear, eps=eps, activation="silu", bound=bound),
        last=last,
        norm=NORM("norm", Role.NORM, width),
        bound=bound,
    )
    depth = depth_of(config, "conf_num_hidden_layers")
    return ConformerTower(
        name=name,
        width=width,
        stem=_stem(config, width),
        blocks=(Repeat(name="conformer", indices=range(depth), child=layer),),
        every=max(int(config["conf_reduction_factor"]), 1),
    )


def _stem(config: Config, width: Size) -> SpectrogramStem:
    """The frequencies that each convolution leaves decide how wide the matrix after them is."""
    channels = tuple(map(size, layer_numbers(config, "sscp_conv_channel_size")))
    kernels, strides = _pairs(config, "sscp_conv_kernel_size"), _pairs(config, "sscp_conv_stride_size")
    if len(channels) != 2 or len(kernels) != 2 or len(strides) != 2:
        raise config.error("sscp_conv_channel_size, sscp_conv_kernel_size and sscp_conv_stride_size need two of each")
    frequencies, convolutions = config["input_feat_size"], []
    for number, (taken, made) in enumerate(zip((Size(1), channels[0]), channels, strict=True)):
        kernel, stride = kernels[number], strides[number]
        frequencies = (frequencies + 2 - kernel[1]) // stride[1] + 1
        convolutions.append(
            SpectrogramConvolution(
                name=f"conv_{number}",
                inputs=taken,
                outputs=made,
                norm=CumulativeNorm(name="norm", channels=made, eps=config["sscp_conv_group_norm_eps"]),
                kernel=kernel,
                stride=stride,
                padding=(0, kernel[0] - 1, 1, 1),
            )
        )
    return SpectrogramStem(
        name="subsample_conv_projection", convolutions=tuple(convolutions), frequencies=frequencies, width=width
    )


def _pairs(config: Config, key: str) -> list[tuple[int, int]]:
    """Two whole numbers for each convolution.

    Raises:
        ConfigError: they are something else.
    """
    found = config[key]
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(n) is int and n > 0 for n in pair):
            raise config.error(f"{config.prefix}{key} is {found!r:.60}, not pairs of whole numbers")
    return [(first, second) for first, second in found]


def _attention(config: Config) -> LocalAttention:
    width, heads = config["hidden_size"], config["conf_num_attention_heads"]
    past, future = max(int(config["conf_attention_context_left"]) - 1, 0), int(config["conf_attention_context_right"])
    return LocalAttention(
        name="attention",
        projections=(*(Linear(word, role) for word, role in QKV.items()), Linear("post", Role.O_PROJ)),
        relative="attn.relative_position_embedding.pos_proj",
        scale="attn.per_dim_scale",
        width=width,
        heads=Heads(count=heads, keys=heads, size=width // heads),
        distances=Distances(before=past, after=future, lowest=-future, highest=past),
        cap=config["conf_attention_logit_cap"],
    )
