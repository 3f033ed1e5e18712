"""Qwen2 (arXiv 2407.10671): Llama with biases on queries, keys and values. Source: `Qwen2Config` of transformers."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.defaults import LLAMA
from weightscope.families.common.llama_like import decoder
from weightscope.families.common.parts import four_projections
from weightscope.families.registry import family

QWEN2 = LLAMA | {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": Nullable(int, 32),
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": Nullable(int, 4096),
    "max_window_layers": Nullable(int, 28),
}


@family("qwen2", roots=("model", ""), defaults=QWEN2)
def qwen2(config: Config, root: str) -> CausalLM:
    """The output projection has no bias."""
    return decoder(config, root, projections=four_projections(qkv_bias=True), slides=upper_layers(config))


def upper_layers(config: Config) -> Callable[[int], bool]:
    """With `use_sliding_window`, the layers from `max_window_layers` up see only a window."""
    first = config["max_window_layers"] if config["use_sliding_window"] else None
    return lambda layer: first is not None and layer >= first
