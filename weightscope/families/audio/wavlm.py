"""WavLM (arXiv 2110.13900). Source: `WavLMConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Segments
from weightscope.components.attention.relative import Relative
from weightscope.components.audio.gated_relative import GatedRelativeAttention
from weightscope.components.audio.speech_model import SpeechModel
from weightscope.components.decoder import Block
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.families.siblings.speech import FRAME_ADAPTER, NEEDS, SPEECH, parts_of, roots_of, speech_model
from weightscope.families.siblings.speech_heads import SPEAKERS
from weightscope.families.siblings.speech_layers import PROJECTIONS, block

DEFAULTS = SPEECH | FRAME_ADAPTER | SPEAKERS | {"num_buckets": 320, "max_bucket_distance": 800}


@family("wavlm", roots=roots_of("wavlm"), parts=parts_of("wavlm"), defaults=DEFAULTS, needs=NEEDS)
def wavlm(config: Config, root: str) -> SpeechModel:
    """The first layer has the table of relative positions, each layer gates for them."""
    s = Dims.of(config, even=True)

    def layer(i: int) -> Block:
        relative = Relative(
            buckets=config["num_buckets"],
            farthest=config["max_bucket_distance"],
            both=True,
            table="" if i else "rel_attn_embed",
            group="the encoder",
        )
        attention = GatedRelativeAttention(
            name="attention",
            projections=linears(PROJECTIONS, bias=True),
            width=s.width,
            heads=s.heads,
            positions=relative,
            sees=Segments("clip", what="frames"),
        )
        return block(config, s, attention)

    return speech_model(config, root, layer)
