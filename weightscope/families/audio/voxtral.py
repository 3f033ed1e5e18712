"""Voxtral (arXiv 2507.13264): Whisper's encoder, four frames at a time, Llama. Source: `VoxtralConfig`."""

from __future__ import annotations

from typing import Any

from weightscope.components.audio.ear import StackingEar
from weightscope.components.audio.language import AudioLanguage
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text, replaced
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.hearing import SPELLINGS, audio_config, language, projector
from weightscope.families.siblings.whisper import tower

VOXTRAL: dict[str, Any] = {
    "audio_token_id": Nullable(int), "projector_hidden_act": "gelu", "architectures": Nullable(list),
}  # fmt: skip
TOWER: dict[str, Any] = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "activation_function": "gelu", "num_mel_bins": 128, "max_source_positions": 1500,
}  # fmt: skip
TOWER_NAMES = {
    "d_model": "hidden_size", "encoder_layers": "num_hidden_layers", "encoder_attention_heads": "num_attention_heads",
    "encoder_ffn_dim": "intermediate_size",
}  # fmt: skip
# What the class puts into the language model's config where it says nothing.
TEXT: dict[str, Any] = {
    "vocab_size": 131072, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 1e8, "head_dim": 128,
}  # fmt: skip


@family("voxtral", roots=tuple(SPELLINGS), defaults=VOXTRAL, needs=("text_config", "audio_config"))
def voxtral(config: Config, root: str) -> AudioLanguage:
    """The tower's frames stand side by side before the projector."""
    spelling = SPELLINGS[root]
    audio = audio_config(config, "voxtral_encoder", TOWER, TOWER_NAMES)
    text = decided_text(config, tied=False)
    text = replaced(text, **{key: value for key, value in TEXT.items() if key not in text.data})
    model = component_of(CausalLM, text, spelling.decoder, "llama")
    token = config["audio_token_id"]
    return AudioLanguage(
        ear=StackingEar(
            tower=tower(audio, spelling.tower("audio_tower")),
            bridge=projector(
                spelling,
                ("linear_1", "linear_2"),
                audio["intermediate_size"],
                model.decoder.embedding.width,
                bias=False,
                activation=config["projector_hidden_act"],
            ),
            stacked=int(audio["intermediate_size"]),
        ),
        language=language(model, spelling),
        # Without a token nothing stands for audio.
        audio_token=-1 if token is None else int(token),
    )
