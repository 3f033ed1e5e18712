"""Heads of wav2vec 2.0 and its kin, chosen by the architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.audio.layer_sum import LayerSum
from weightscope.components.audio.speaker_head import Objective, SpeakerHead, TimeDelay
from weightscope.components.audio.speech_heads import (
    CharacterHead,
    ContrastiveHead,
    Quantizer,
    SpeechClassifier,
    SpeechHead,
)
from weightscope.components.embedding import Classifier, Head
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.numbers import sizes
from weightscope.roles import Role
from weightscope.sizes import Size

# Keys of the class that has the head of pre-training.
QUANTIZER: dict[str, Any] = {
    "num_codevectors_per_group": 320, "num_codevector_groups": 2, "codevector_dim": 256, "proj_codevector_dim": 256,
}  # fmt: skip

# Of those that have the head of speakers.
SPEAKERS: dict[str, Any] = {
    "tdnn_dim": [512, 512, 512, 512, 1500], "tdnn_kernel": [5, 3, 3, 1, 1], "tdnn_dilation": [1, 2, 3, 1, 1],
    "xvector_output_dim": 512,
}  # fmt: skip


def head_of(config: Config, s: Dims, features: Size) -> SpeechHead | None:
    """The head of the config's architecture; a model without one puts out its frames.

    Raises:
        UndeclaredError: another head, by name.
        ConfigError: a head over a vocabulary whose size is null; classes of frames after an adapter.
    """
    if config.is_base_model or not config.task:
        return None
    heads: dict[str, Callable[[Config, Dims, Size], SpeechHead]] = {
        "CTC": _characters, "SequenceClassification": _classes, "AudioFrameClassification": _classes,
        **({"XVector": _speaker} if config.declares("xvector_output_dim") else {}),
    }  # fmt: skip
    if config.declares("codevector_dim"):
        heads["PreTraining"] = _contrastive
    if config.task not in heads:
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    return heads[config.task](config, s, features)


def _characters(config: Config, s: Dims, features: Size) -> CharacterHead:
    del features
    rows = config["vocab_size"]
    if rows is None:
        raise config.error("'vocab_size' is null, and the head needs it")
    adapted = config.declares("add_adapter") and config["add_adapter"]
    width = (config["output_hidden_size"] or s.width) if adapted else s.width
    return CharacterHead(matrix=Head(name="lm_head", vocabulary=rows, width=width, tied=False, bias=True))


def _classes(config: Config, s: Dims, features: Size) -> SpeechClassifier:
    del features
    _refuse_adapter(config)
    inner = config["classifier_proj_size"]
    whole = config.task == "SequenceClassification"
    return SpeechClassifier(
        mix=_mix(config, s),
        projector=Projection(name="projector", inputs=s.width, outputs=inner, bias=True, role=Role.OUTPUT_PROJ)
        if whole
        else None,
        classifier=Classifier(name="classifier", labels=config.labels, width=inner if whole else s.width, bias=True),
    )


def _speaker(config: Config, s: Dims, features: Size) -> SpeakerHead:
    del features
    _refuse_adapter(config)
    widths, kernels, dilations = (sizes(config, key) for key in ("tdnn_dim", "tdnn_kernel", "tdnn_dilation"))
    if not len(widths) == len(kernels) == len(dilations):
        raise config.error("tdnn_dim, tdnn_kernel and tdnn_dilation have other lengths than each other")
    size, role = config["xvector_output_dim"], Role.OUTPUT_PROJ
    delays = tuple(
        TimeDelay(
            name=f"tdnn.{i}", inputs=widths[max(i - 1, 0)], outputs=width, kernel=kernels[i], dilation=dilations[i]
        )
        for i, width in enumerate(widths)
    )
    return SpeakerHead(
        mix=_mix(config, s),
        projector=Projection(name="projector", inputs=s.width, outputs=widths[0], bias=True, role=role),
        delays=delays,
        embedding=Projection(name="feature_extractor", inputs=widths[-1] * 2, outputs=size, bias=True, role=role),
        last=Projection(name="classifier", inputs=size, outputs=size, bias=True, role=role),
        objective=Objective(name="objective", width=size, speakers=config.labels),
    )


def _mix(config: Config, s: Dims) -> LayerSum | None:
    return LayerSum(count=s.depth + 1) if config["use_weighted_layer_sum"] else None


def _refuse_adapter(config: Config) -> None:
    if config.declares("add_adapter") and config["add_adapter"]:
        raise config.error(f"'add_adapter' is true, and {config.architecture} has no adapter")


def _contrastive(config: Config, s: Dims, features: Size) -> ContrastiveHead:
    inner, outputs = config["codevector_dim"], config["proj_codevector_dim"]
    return ContrastiveHead(
        project=Projection(name="project_hid", inputs=s.width, outputs=outputs, bias=True, role=Role.OUTPUT_PROJ),
        quantizer=Quantizer(
            name="quantizer",
            inputs=features,
            groups=config["num_codevector_groups"],
            vectors=config["num_codevectors_per_group"],
            outputs=inner,
        ),
        project_quantized=Projection(name="project_q", inputs=inner, outputs=outputs, bias=True, role=Role.OUTPUT_PROJ),
    )
