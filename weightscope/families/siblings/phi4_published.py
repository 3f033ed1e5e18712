"""What Microsoft's config of Phi-4-multimodal says of its eye and its ear, under the keys of transformers' classes."""

from __future__ import annotations

from weightscope.config import Config
from weightscope.families.common.multimodal import replaced
from weightscope.families.common.refusals import not_computed
from weightscope.families.siblings.phi4 import VISION
from weightscope.families.siblings.phi4_audio import PHI4_AUDIO

# The config's names of what transformers' has.
AUDIO_NAMES = {
    "hidden_size": "attention_dim", "num_attention_heads": "attention_heads", "intermediate_size": "linear_units",
    "depthwise_separable_out_channel": "depthwise_seperable_out_channel",
}  # fmt: skip
AUDIO = {AUDIO_NAMES.get(key, key): default for key, default in PHI4_AUDIO.items()}
DISTANCES = {"t5_bias_max_distance": 1000, "t5_bias_symmetric": False}
# What the published config says of parts that the code can build otherwise.
EAR = {"input_layer": "nemo_conv", "causal": True, "batch_norm": False, "bias_in_glu": True}
EYE = {"hd_transform_order": "sub_glb", "image_token_compression_cls": "avg_pool_2d"}


def seen(config: Config) -> Config:
    """The tower's; its sizes are those of the code, and the config has the size of a tile alone."""
    return _image(config).with_defaults(VISION)


def heard(config: Config) -> Config:
    """The conformer's."""
    said = _audio(config)
    stem = said.nested("nemo_conv_settings").with_defaults({"conv_channels": 1024})
    distances = said.nested("relative_attention_bias_args").with_defaults(DISTANCES)
    bridge = config.nested("embd_layer").nested("audio_embd_layer").with_defaults({"downsample_rate": 1})
    whole = replaced(
        said,
        nemo_conv_channels=int(stem["conv_channels"]),
        bias_max_distance=int(distances["t5_bias_max_distance"]),
        bias_symmetric=bool(distances["t5_bias_symmetric"]),
        downsample_rate=int(bridge["downsample_rate"]),
    )
    return whole.with_defaults(AUDIO, AUDIO_NAMES)


def refused(config: Config) -> str:
    """Why there is no pass: a part that the config has otherwise than the published one; empty for none."""
    ear, eye = _audio(config).with_defaults(EAR), _image(config).with_defaults(EYE)
    return not_computed(ear, "Phi-4-multimodal", EAR) or not_computed(eye, "Phi-4-multimodal", EYE)


def _audio(config: Config) -> Config:
    return config.nested("audio_processor").nested("config")


def _image(config: Config) -> Config:
    return config.nested("embd_layer").nested("image_embd_layer")
