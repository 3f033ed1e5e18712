"""What a value of a config must be before it is computed with: of its kind, finite, and no larger than models need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_NUMBER = 2**63 - 1
# Characters of a value that a family reads, and items of a list: one for each layer.
MAX_TEXT = 1_000
MAX_ITEMS = 100_000

# Counts of which 0 describes no model: of heads, of a token's experts, groups and positions; and a rank.
POSITIVE = frozenset({
    "num_attention_heads", "num_heads", "n_head", "n_heads", "num_experts_per_tok", "num_experts_per_token", "moe_k",
    "moe_top_k", "top_k_experts", "n_group", "topk_group", "num_expert_group", "q_lora_rank", "index_topk",
    "num_kv_heads",
})  # fmt: skip
KIND = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    dict: "an object",
    list: "a list",
}


def value_at(data: Mapping[str, object], key: str, absent: object = None) -> object:
    """What a config has under a key, or under a path of keys (`text_config.hidden_size`); `absent` without one."""
    value: object = data
    for part in key.split("."):
        value = value.get(part, absent) if isinstance(value, Mapping) else absent
    return value


def beyond(value: Any) -> str:
    """Why no key can have this value, as the end of a sentence that begins with the key; empty where it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, not a finite number"
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        return f"has {digits(value)} digits, more than any model needs"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"has {len(value):,} characters, more than any model needs"
    if isinstance(value, list | dict) and len(value) > MAX_ITEMS:
        return f"has {len(value):,} items, more than any model needs"
    return ""


def fits(value: Any, expected: type) -> bool:
    """Whether a value is of a kind; whole numbers are numbers, and true is no number."""
    if isinstance(value, bool):
        return expected in (bool, object)
    return isinstance(value, float | int) if expected is float else isinstance(value, expected)


def digits(value: int) -> int:
    """Decimal digits, counted without writing them: Python writes no more than 4,300."""
    return int(math.log10(abs(value))) + 1
