"""What language models share that hear by Whisper's encoder: spellings, parts, a projector."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.projection import Projection
from weightscope.components.vision.projector import Projector
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.siblings.llava import Spelling
from weightscope.sizes import Size

SPELLINGS = {
    "as published": Spelling("language_model", "model", "", ""),
    "as transformers 5 holds it": Spelling("", "model.language_model", "model.", ""),
    "the base model, as transformers 5 holds it": Spelling("", "language_model", "", ""),
}


def audio_config(
    config: Config, kind: str, defaults: Mapping[str, Any], names: Mapping[str, str] = MappingProxyType({})
) -> Config:
    """The tower's config under its class's defaults.

    Raises:
        UndeclaredError: it is of another class than `kind`.
    """
    audio = part(config, "audio_config", defaults, names)
    if audio.model_type not in ("", kind):
        raise config.undeclared(f"{config.model_type} with an audio_config of {audio.model_type!r:.60} is not declared")
    return audio


def language(model: CausalLM, spelling: Spelling) -> Group:
    """The language model in its place."""
    return Group(name=spelling.language, parts=(model,))


def projector(
    spelling: Spelling, names: tuple[str, ...], inputs: Size, outputs: Size, *, bias: bool, activation: str = ""
) -> Projector:
    """Matrices of those names, from the tower's width to the language model's."""
    return Projector(
        name=f"{spelling.others}multi_modal_projector",
        parts=tuple(
            Projection(name=name, inputs=outputs if number else inputs, outputs=outputs, bias=bias)
            for number, name in enumerate(names)
        ),
        activation=activation,
    )
