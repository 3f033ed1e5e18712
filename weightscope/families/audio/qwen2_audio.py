"""Qwen2-Audio (arXiv 2407.10759): Whisper's encoder, one matrix, Qwen2. Source: `Qwen2AudioConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.audio.ear import MaskedEar
from weightscope.components.audio.language import AudioLanguage
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.hearing import SPELLINGS, audio_config, language, projector
from weightscope.families.siblings.whisper import AUDIO_TOWER, tower

QWEN2_AUDIO: dict[str, Any] = {"audio_token_index": 151646, "architectures": Nullable(list)}
TOWER_NAMES = {
    "num_hidden_layers": "encoder_layers", "hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_dim",
}  # fmt: skip


@family(
    "qwen2_audio",
    roots=tuple(SPELLINGS),
    defaults=QWEN2_AUDIO,
    attribute_map={"audio_token_id": "audio_token_index"},
    needs=("text_config", "audio_config"),
)
def qwen2_audio(config: Config, root: str) -> AudioLanguage:
    """The tower's frames are pooled by twos before its last norm."""
    spelling = SPELLINGS[root]
    audio = audio_config(config, "qwen2_audio_encoder", AUDIO_TOWER, TOWER_NAMES)
    model = component_of(CausalLM, decided_text(config, tied=False), spelling.decoder, "qwen2")
    return AudioLanguage(
        ear=MaskedEar(
            tower=tower(audio, spelling.tower("audio_tower"), pool=2),
            bridge=projector(spelling, ("linear",), audio["d_model"], model.decoder.embedding.width, bias=True),
        ),
        language=language(model, spelling),
        audio_token=int(config["audio_token_index"]),
    )
