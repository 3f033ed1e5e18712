"""Qwen3-Omni (arXiv 2509.17765): a thinker that sees and hears, and a talker. Source: `Qwen3OmniMoeConfig`."""

from __future__ import annotations

from functools import partial

from weightscope.components.base import Component
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.omni import THINKER, THINKERS, WHOLES, Spelling, text_of, thinking
from weightscope.families.siblings.omni3_speech import code2wav, talker
from weightscope.families.siblings.omni_ears import plane_tower
from weightscope.families.siblings.omni_text import thinking_model
from weightscope.families.siblings.qwen3_tower import Mergers, qwen3_tower

MERGERS = Mergers("ln_q", ("mlp.0", "mlp.2"), "merger_list")
TAPS = (8, 16, 24)


@family("qwen3_omni_moe_thinker", roots=tuple(THINKERS), defaults=THINKER, needs=("text_config",))
def qwen3_omni_moe_thinker(config: Config, root: str) -> VisionLanguage:
    """Alone, as the captioner is published."""
    return thinker(config, THINKERS[root])


@family("qwen3_omni_moe", roots=tuple(WHOLES), defaults={"enable_audio_output": True}, needs=("thinker_config",))
def qwen3_omni_moe(config: Config, root: str) -> VisionLanguage:
    """The thinker is computed; what it speaks with is named and counted."""
    speaks = (talker(config), code2wav(config)) if config["enable_audio_output"] else ()
    return thinker(config.nested("thinker_config").with_defaults(THINKER), WHOLES[root], speaks)


def thinker(config: Config, spelling: Spelling, speaks: tuple[Component, ...] = ()) -> VisionLanguage:
    """Qwen3-VL's mixture beside an encoder of speech."""
    tower = partial(qwen3_tower, config, taps=TAPS, names=MERGERS)
    held = spelling.decoder == "model.language_model"
    model = thinking_model(text_of(config, "qwen3_omni_moe_text", {}), spelling.decoder, stacked=held)
    return thinking(config, spelling, tower, model, plane_tower(config, spelling.ear), speaks)
