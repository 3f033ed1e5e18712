"""MiMo (arXiv 2505.07608): Qwen2 with layers that predict further tokens ahead. Source: `MiMoConfig`, Xiaomi's code."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.prediction.shared import SharedPrediction
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.registry import family
from weightscope.families.text.qwen2 import QWEN2, qwen2

MIMO = QWEN2 | {
    "vocab_size": 151680,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_key_value_heads": Nullable(int, 8),
    "num_nextn_predict_layers": Nullable(int, 1),
}


@family("mimo", roots=("model", ""), defaults=MIMO)
def mimo(config: Config, root: str) -> CausalLM:
    """A layer ahead is one more block between norms, with the embedding and the head that are there already."""
    model = qwen2(config, root)
    ahead = config["num_nextn_predict_layers"]
    if not ahead or not model.decoder.blocks:
        return model
    block = model.decoder.blocks[0].child
    if not isinstance(block, Block):
        raise UndeclaredError("MiMo with other blocks than Qwen2's is not declared", where=config.source)
    layer = SharedPrediction(width=config["hidden_size"], eps=config["rms_norm_eps"], block=block)
    name = f"{root}.mtp_layers" if root else "mtp_layers"
    return replace(model, extras=(Repeat(name=name, indices=range(ahead), child=layer),))
