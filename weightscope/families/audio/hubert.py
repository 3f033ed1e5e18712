"""HuBERT (arXiv 2106.07447). Source: `HubertConfig` of transformers."""

from __future__ import annotations

from weightscope.components.audio.speech_model import SpeechModel
from weightscope.components.decoder import Block
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.registry import family
from weightscope.families.siblings.speech import NEEDS, SPEECH, parts_of, roots_of, speech_model
from weightscope.families.siblings.speech_layers import attention, block

DEFAULTS = SPEECH | {
    "feat_proj_layer_norm": True, "conv_pos_batch_norm": False,
    # No field, but transformers passes it on to the masks of any.
    "is_causal": Nullable(bool),
}  # fmt: skip


@family("hubert", roots=roots_of("hubert"), parts=parts_of("hubert"), defaults=DEFAULTS, needs=NEEDS)
def hubert(config: Config, root: str) -> SpeechModel:
    """wav2vec 2.0's, whose positions may come of a norm of the batch in place of a weight norm."""
    s = Dims.of(config, even=True)

    def layer(_: int) -> Block:
        return block(config, s, attention(config, s))

    return speech_model(
        config, root, layer, normed=config["feat_proj_layer_norm"], batch_normed=config["conv_pos_batch_norm"]
    )
