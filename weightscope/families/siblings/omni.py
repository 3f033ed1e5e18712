"""What Qwen's omni models share: the config of a thinker's language model, spellings, audio towers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from weightscope.components.audio.chunked_ear import ChunkedEar
from weightscope.components.audio.chunked_tower import ChunkedTower
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.siblings.qwen_vl import WHOLE, beside

THINKER = WHOLE | {"tie_word_embeddings": False, "audio_token_id": 151646, "architectures": Nullable(list)}


class Spelling(NamedTuple):
    """Prefixes of a thinker's vision tower, its language model, the decoder within that, and its audio tower."""

    eye: str
    language: str
    decoder: str
    ear: str


# What a root stands for: of a whole model, and of a thinker alone.
WHOLES = {
    "as published": Spelling("thinker.visual", "thinker", "model", "thinker.audio_tower"),
    "as transformers 5 holds it": Spelling(
        "thinker.model.visual", "thinker", "model.language_model", "thinker.model.audio_tower"
    ),
}
THINKERS = {
    "as transformers 5 saves it": Spelling("visual", "", "model", "audio_tower"),
    "as transformers 5 holds it": Spelling("model.visual", "", "model.language_model", "model.audio_tower"),
    "as published within a whole": WHOLES["as published"],
}


def thinking(
    config: Config,
    spelling: Spelling,
    tower: Callable[[str], GridTower],
    model: CausalLM,
    ear: ChunkedTower,
    others: tuple[Component, ...] = (),
) -> VisionLanguage:
    """The thinker; `others` are parts that no pass uses."""
    whole = beside(config, spelling[:3], tower, model)
    assert isinstance(whole, VisionLanguage)
    return replace(whole, ear=ChunkedEar(tower=ear), audio_token=int(config["audio_token_id"]), unused=others)


def text_of(config: Config, kind: str, defaults: Mapping[str, Any], **decided: Any) -> Config:
    """The language model's config under the defaults of its class `kind`; what the whole decides is written into it.

    Raises:
        UndeclaredError: it is of another class.
    """
    text = part(config, "text_config", {})
    if text.model_type not in ("", kind):
        raise config.undeclared(f"a thinker with a text_config of {text.model_type!r:.60} is not declared")
    tied = {"tie_word_embeddings": bool(config["tie_word_embeddings"]), "architectures": config["architectures"]}
    missing = {key: value for key, value in defaults.items() if key not in text.data}
    return replaced(text, **missing, **tied, **decided)
