"""The audio tower of CLAP: Swin's stages over patches of a spectrogram (HTS-AT, arXiv 2202.00874)."""

from __future__ import annotations

from typing import Any

from weightscope.components.audio.spectrogram_encoder import SpectrogramEncoder
from weightscope.components.audio.spectrogram_patches import Convolution, Fusion, SpectrogramPatches
from weightscope.components.batch_norm import BatchNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms
from weightscope.families.common.refusals import require
from weightscope.families.siblings.swin import stages_of
from weightscope.roles import Role
from weightscope.sizes import Size

AUDIO: dict[str, Any] = {
    "window_size": 8, "num_mel_bins": 64, "spec_size": 256, "hidden_act": "gelu", "patch_size": Nullable(object, 4),
    "patch_stride": Nullable(object, [4, 4]), "hidden_size": 768, "depths": [2, 2, 6, 2],
    "num_attention_heads": [4, 8, 16, 32], "enable_fusion": False, "fusion_type": Nullable(str),
    "patch_embed_input_channels": 1, "flatten_patch_embeds": True, "patch_embeds_hidden_size": 96,
    "enable_patch_layer_norm": True, "qkv_bias": True, "mlp_ratio": 4.0, "aff_block_r": 4, "layer_norm_eps": 1e-5,
}  # fmt: skip
# Names that Swin has for these.
SWINS = {"embed_dim": "patch_embeds_hidden_size", "num_heads": "num_attention_heads"}
# Of norms whose class does not read the config's.
NORM = layer_norms(1e-5)


def spectrogram_encoder(config: Config, name: str) -> SpectrogramEncoder:
    """With `enable_fusion`, close-ups of longer clips are joined to the whole.

    Raises:
        UndeclaredError: patches that are not flattened.
        ConfigError: a picture that is no multiple of the bins.
    """
    config = config.with_defaults(AUDIO, SWINS)
    require(config, "CLAP", {"flatten_patch_embeds": True})
    side, bins = config["spec_size"], config["num_mel_bins"]
    if not 0 < bins <= side:
        raise config.error(f"{config.prefix}spec_size {side:,} is less than num_mel_bins {bins:,}, or one is 0")
    stages, width = stages_of(config, "as published", "layers")
    return SpectrogramEncoder(
        name=name,
        bin_norm=BatchNorm(name="batch_norm", size=bins),
        patches=_patches(config),
        stages=stages,
        final_norm=NORM("norm", Role.FINAL_NORM, width),
        bins=bins,
        side=side,
        width=width,
    )


def _patches(config: Config) -> SpectrogramPatches:
    width, channels, fused = config["embed_dim"], config["patch_embed_input_channels"], config["enable_fusion"]
    patch, stride = _pair(config, "patch_size"), _pair(config, "patch_stride")
    padding = (int(patch[0] - stride[0]) // 2, int(patch[1] - stride[1]) // 2)
    steps = int(stride[0]), int(stride[1])
    mapped = fused and config["fusion_type"] == "channel_map"
    three = Size(3)
    return SpectrogramPatches(
        name="patch_embed",
        patches=Convolution(
            name="proj",
            inputs=channels * 4 if mapped else channels,
            outputs=width,
            kernel=patch,
            steps=steps,
            padding=padding,
        ),
        norm=NORM("norm", Role.EMBEDDING_NORM, width) if config["enable_patch_layer_norm"] else None,
        fusion=Fusion(name="fusion_model", width=width, inner=width // config["aff_block_r"]) if fused else None,
        close=Convolution(
            name="mel_conv2d",
            inputs=channels,
            outputs=width,
            kernel=(patch[0], patch[1] * three),
            steps=(steps[0], steps[1] * 3),
            padding=padding,
        )
        if fused
        else None,
    )


def _pair(config: Config, key: str) -> tuple[Size, Size]:
    """Rows and columns, which are one number where they are as many.

    Raises:
        ConfigError: it is neither a positive number nor two.
    """
    value = config[key]
    both = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(both) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in both):
        raise config.error(f"{config.prefix + key!r} is {value!r:.60}, not a positive whole number or two of them")
    rows, columns = (Size(int(side), config.prefix + key) for side in both)
    return rows, columns
