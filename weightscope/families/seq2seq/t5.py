"""T5 (arXiv 1910.10683), its version 1.1, mT5 and UMT5. Sources: `T5Config`, `MT5Config` and `UMT5Config`."""

from __future__ import annotations

from typing import Any

from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.registry import family
from weightscope.families.siblings.t5_model import APART, TIED, t5_model

T5: dict[str, Any] = {
    "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6,
    "num_decoder_layers": Nullable(int), "num_heads": 8, "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "feed_forward_proj": "relu",
    "tie_word_embeddings": Nullable(bool), "scale_decoder_outputs": Nullable(bool),
    "is_gated_act": Nullable(bool), "dense_act_fn": Nullable(str), "decoder_start_token_id": Nullable(int, 0),
    "architectures": Nullable(list), "eos_token_id": Nullable(object, 1),
    # No field of the classes, but transformers' masks obey it of any.
    "is_causal": Nullable(bool),
}  # fmt: skip
NAMES = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
}
NEEDS = ("d_model", "num_layers", "num_heads")
BASE = "transformer"


@family("t5", roots=(TIED, APART), parts=(TIED,), defaults=T5, attribute_map=NAMES, needs=NEEDS, base=BASE)
def t5(config: Config, root: str) -> EncoderDecoder:
    """Relative positions lie in the first layer of each stack."""
    scaled = config["scale_decoder_outputs"]
    return t5_model(config, root, scales=config["tie_word_embeddings"] is not False if scaled is None else scaled)


@family("mt5", roots=(TIED, APART), parts=(TIED,), defaults=T5 | {
    "vocab_size": 250112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
}, attribute_map=NAMES, needs=NEEDS, base=BASE)  # fmt: skip
def mt5(config: Config, root: str) -> EncoderDecoder:
    """T5 1.1 in many languages."""
    return t5_model(config, root, scales=False)


@family("umt5", roots=(TIED, APART), parts=(TIED,), defaults=T5 | {
    "vocab_size": 250112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu",
}, attribute_map=NAMES, needs=NEEDS, base=BASE)  # fmt: skip
def umt5(config: Config, root: str) -> EncoderDecoder:
    """Each layer has relative positions of its own."""
    return t5_model(config, root, scales=True, everywhere=True)
