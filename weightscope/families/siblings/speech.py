"""What wav2vec 2.0, HuBERT and WavLM share: convolutions over samples, layers, heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from weightscope.components.audio.speech_encoder import SpeechEncoder
from weightscope.components.audio.speech_model import SpeechModel
from weightscope.components.decoder import Block
from weightscope.components.projection import Projection
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.siblings.speech_heads import head_of
from weightscope.families.siblings.speech_layers import frame_adapter, positions, sample_convolutions
from weightscope.roles import Role
from weightscope.storage.weight_normed import BEFORE, PARAMETRIZED

SPEECH: dict[str, Any] = {
    "vocab_size": Nullable(int, 32), "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "feat_extract_norm": "group",
    "feat_extract_activation": "gelu", "conv_dim": [512] * 7, "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_bias": False, "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16, "do_stable_layer_norm": False, "mask_time_prob": 0.05,
    "mask_feature_prob": 0.0, "use_weighted_layer_sum": False, "classifier_proj_size": 256,
}  # fmt: skip
FRAME_ADAPTER: dict[str, Any] = {
    "add_adapter": False, "adapter_kernel_size": 3, "adapter_stride": 2, "num_adapter_layers": 3,
    "output_hidden_size": Nullable(int),
}  # fmt: skip
NEEDS = ("hidden_size", "num_hidden_layers")
OLD, UNMASKED = ", with torch's old names of weight norms", ", without a vector for masked frames"


def roots_of(prefix: str) -> tuple[str, ...]:
    """With the prefix and without, each as it is saved today and was before, with all parts and without one."""
    return tuple(f"{start}{old}{less}" for less in ("", UNMASKED) for old in ("", OLD) for start in (prefix, ""))


def parts_of(prefix: str) -> tuple[str, ...]:
    """Those of the roots that leave something out."""
    return tuple(root for root in roots_of(prefix) if root.endswith(UNMASKED))


class Spelling(NamedTuple):
    """What a root says: the prefix, the names of weight norms, whether the vector for masked frames is there."""

    prefix: str
    leaves: tuple[str, str]
    masked: bool

    @classmethod
    def of(cls, root: str) -> Spelling:
        """The spelling of a root."""
        return cls(root.partition(",")[0], BEFORE if OLD in root else PARAMETRIZED, UNMASKED not in root)


def speech_model(
    config: Config, root: str, layer: Callable[[int], Block], *, normed: bool = True, batch_normed: bool = False
) -> SpeechModel:
    """The whole model; features are `normed` before their projection unless told otherwise.

    `batch_normed` positions have a plain kernel.
    """
    s, norm, spelling = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"]), Spelling.of(root)
    convolutions = sample_convolutions(config)
    features, stable = convolutions.ordered[-1][2].outputs, config["do_stable_layer_norm"]
    last = norm("encoder.layer_norm", Role.FINAL_NORM if stable else Role.EMBEDDING_NORM, s.width)
    projection = Projection(
        name="feature_projection.projection", inputs=features, outputs=s.width, bias=True, role=Role.EMBEDDING_PROJ
    )
    trained_masked = config["mask_time_prob"] > 0 or config["mask_feature_prob"] > 0
    adapter = frame_adapter(config, s.width) if config.declares("add_adapter") and config["add_adapter"] else None
    encoder = SpeechEncoder(
        name=spelling.prefix,
        convolutions=convolutions,
        feature_norm=norm("feature_projection.layer_norm", Role.NORM, features) if normed else None,
        projection=projection,
        positions=positions(config, s.width, spelling.leaves, batch_normed=batch_normed),
        embedding_norm=None if stable else last,
        blocks=numbered("encoder.layers", s.depth, layer),
        final_norm=last if stable else None,
        adapter=adapter,
        width=s.width,
        depth=s.depth,
        mask=trained_masked and spelling.masked,
    )
    return SpeechModel(encoder=encoder, head=head_of(config, s, features))
