"""Qwen2.5-Omni (arXiv 2503.20215): a thinker that sees and hears, and a talker. Source: `Qwen2_5OmniConfig`."""

from __future__ import annotations

from functools import partial
from typing import Any

from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.config import Config
from weightscope.families.common.multimodal import part
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.omni import THINKER, THINKERS, WHOLES, Spelling, text_of, thinking
from weightscope.families.siblings.omni_ears import pooled_tower
from weightscope.families.siblings.omni_speech import talker, token2wav
from weightscope.families.siblings.qwen2_5_tower import qwen2_5_tower
from weightscope.roles import Role
from weightscope.storage.linear import Linear

INDICES = {"image_token_id": "image_token_index", "video_token_id": "video_token_index",
           "audio_token_id": "audio_token_index"}  # fmt: skip
MATRICES = {"q": Role.Q_PROJ, "k": Role.K_PROJ, "v": Role.V_PROJ, "proj": Role.O_PROJ}
DEFAULTS = {INDICES.get(key, key): value for key, value in THINKER.items()}
TEXT: dict[str, Any] = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "max_window_layers": 28, "vocab_size": 152064,
}  # fmt: skip
# Where the vision towers of Qwen2.5-VL have one matrix.
APART = tuple(Linear(name, role, bias=True) for name, role in MATRICES.items())


@family("qwen2_5_omni_thinker", roots=tuple(THINKERS), defaults=DEFAULTS, attribute_map=INDICES, needs=("text_config",))
def qwen2_5_omni_thinker(config: Config, root: str) -> VisionLanguage:
    """Alone, as a part of it is tuned."""
    return thinker(config, THINKERS[root])


@family("qwen2_5_omni", roots=tuple(WHOLES), defaults={"enable_audio_output": True}, needs=("thinker_config",))
def qwen2_5_omni(config: Config, root: str) -> VisionLanguage:
    """The thinker is computed; what it speaks with is named and counted."""
    speaks = (talker(config), token2wav(config)) if config["enable_audio_output"] else ()
    own = config.nested("thinker_config").with_defaults(DEFAULTS, INDICES)
    return thinker(own, WHOLES[root], speaks)


def thinker(config: Config, spelling: Spelling, speaks: tuple[Component, ...] = ()) -> VisionLanguage:
    """Qwen2.5-VL beside an encoder of speech."""
    tower = partial(qwen2_5_tower, part(config, "vision_config", {}), projections=APART)
    text = text_of(config, "qwen2_5_omni_text", TEXT, model_type="qwen2_5_vl_text")
    model = component_of(CausalLM, text, spelling.decoder, "qwen2_5_vl_text")
    return thinking(config, spelling, tower, model, pooled_tower(config, spelling.ear), speaks)
