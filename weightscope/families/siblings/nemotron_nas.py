"""What `block_configs` of a Llama-Nemotron say, checked."""

from __future__ import annotations

from typing import Any

from weightscope.config import Config
from weightscope.config_values import beyond, fits
from weightscope.sizes import Size

# Feed-forwards have a multiple of this many rows.
STEP = 256
HALVES = ("attention", "ffn")
# What later searches put into a layer.
OTHERS = ("mamba", "llama4", "moe")
FLAGS = ("no_op", "replace_with_linear")


def block_configs(config: Config, depth: int) -> list[dict[str, dict[str, Any]]]:
    """For each layer what its attention and its feed-forward are.

    Raises:
        ConfigError: not one entry for each layer, or one that does not say both.
        UndeclaredError: a layer is a mixture or a state space.
    """
    blocks: list[Any] = config["block_configs"] or []
    if len(blocks) != depth:
        raise config.error(f"'block_configs' has {len(blocks):,} entries for {depth:,} layers")
    for number, block in enumerate(blocks):
        halves: list[Any] = [block.get(half) for half in HALVES] if isinstance(block, dict) else [None]
        if not all(isinstance(half, dict) for half in halves):
            raise config.error(f"'block_configs' lacks 'attention' or 'ffn' of layer {number}")
        if found := next((key for half in halves for key in OTHERS if half.get(key)), None):
            raise config.undeclared(f"'{found}' in block_configs is not declared")
        if any(not isinstance(half.get(flag, False), bool) for half in halves for flag in FLAGS):
            raise config.error(f"'no_op' and 'replace_with_linear' of layer {number} must be true or false")
    return blocks


def keys_of(config: Config, attention: dict[str, Any], heads: Size) -> Size:
    """Key heads of a layer whose groups have `n_heads_in_group` query heads.

    Raises:
        ConfigError: no number that divides the heads.
    """
    group: Any = attention.get("n_heads_in_group")
    if not fits(group, int) or group < 1 or heads % group:
        raise config.error(f"'n_heads_in_group' is {group!r:.40}, which does not divide {heads} heads")
    return Size(heads // group, "num_attention_heads/n_heads_in_group", ("num_attention_heads", "block_configs"))


def rows_of(config: Config, ffn: dict[str, Any], width: Size) -> Size:
    """Rows of a feed-forward: two thirds of `ffn_mult` times the width, rounded up to a multiple of 256.

    Raises:
        ConfigError: no number above 0.
    """
    factor: Any = ffn.get("ffn_mult")
    if not fits(factor, float) or beyond(factor) or factor <= 0:
        raise config.error(f"'ffn_mult' is {factor!r:.40}, not a number above 0")
    rows = -(-int(2 * factor * int(width) / 3) // STEP) * STEP
    return Size(rows, "⌈ffn_mult·2/3·hidden_size⌉", ("hidden_size", "block_configs"))
