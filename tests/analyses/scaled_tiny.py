"""The tiny models that the families are tested with, eight times as wide: wide enough for tables of a few elements."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from tests.families.tiny import TINY, Tiny

SCALE = 8
WIDTHS = frozenset(
    {
        "hidden_size", "intermediate_size", "head_dim", "n_embd", "moe_intermediate_size", "q_lora_rank",
        "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "shared_expert_intermediate_size",
        "shared_intermediate_size", "mrope_section", "rotary_dim", "d_model",
    }
)  # fmt: skip
LENGTHS = frozenset({"max_position_embeddings", "n_positions", "sliding_window", "max_seq_len"})
LONGEST = 4096
# Grouped products want rows of whole 16 bytes.
WHOLE = 16


def scaled(name: str, **changed: Any) -> Tiny:
    """The first tiny model of this name, wider, for texts of up to 4,096 tokens, with keys of one's own."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    keys = _scaled(copy.deepcopy(tiny.keys))
    if "v_head_dim" in keys and "qk_nope_head_dim" in keys:
        # The CPU's attention keeps scores where heads of keys and values differ in size.
        keys["v_head_dim"] = keys["qk_nope_head_dim"] + keys["qk_rope_head_dim"]
    if "n_positions" not in keys:
        keys["max_position_embeddings"] = LONGEST
    return replace(tiny, keys=keys | {key: value for key, value in changed.items() if key in keys})


def _scaled(keys: dict[str, Any]) -> dict[str, Any]:
    found = dict(keys)
    for key, value in keys.items():
        if isinstance(value, dict):
            found[key] = _scaled(value)
        elif key in LENGTHS and value:
            found[key] = LONGEST
        elif key in WIDTHS and value:
            found[key] = [size * SCALE for size in value] if isinstance(value, list) else _whole(value * SCALE)
    return found


def _whole(size: int) -> int:
    return -(-size // WHOLE) * WHOLE
