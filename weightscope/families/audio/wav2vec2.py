"""wav2vec 2.0 (arXiv 2006.11477), XLS-R and MMS. Source: `Wav2Vec2Config` of transformers."""

from __future__ import annotations

from weightscope.components.audio.adapters import LanguageAdapter
from weightscope.components.audio.speech_model import SpeechModel
from weightscope.components.decoder import Block
from weightscope.components.norm import LayerNorm
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.registry import family
from weightscope.families.siblings.speech import FRAME_ADAPTER, NEEDS, SPEECH, parts_of, roots_of, speech_model
from weightscope.families.siblings.speech_heads import QUANTIZER, SPEAKERS
from weightscope.families.siblings.speech_layers import EPS, attention, block
from weightscope.roles import Role

# `is_causal` is no field, but transformers passes it on to the masks of any.
DEFAULTS = SPEECH | FRAME_ADAPTER | QUANTIZER | SPEAKERS | {
    "adapter_attn_dim": Nullable(int), "is_causal": Nullable(bool),
}  # fmt: skip


@family("wav2vec2", roots=roots_of("wav2vec2"), parts=parts_of("wav2vec2"), defaults=DEFAULTS, needs=NEEDS)
def wav2vec2(config: Config, root: str) -> SpeechModel:
    """`adapter_attn_dim` puts the matrices of a language into each layer."""
    s = Dims.of(config, even=True)
    inner = config["adapter_attn_dim"]
    norm = LayerNorm(name="norm", role=Role.NORM, size=s.width, eps=EPS)
    adapter = (LanguageAdapter(name="adapter_layer", width=s.width, inner=inner, norm=norm),) if inner else ()

    def layer(_: int) -> Block:
        return block(config, s, attention(config, s), after=adapter)

    return speech_model(config, root, layer)
