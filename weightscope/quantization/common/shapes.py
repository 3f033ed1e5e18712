"""Shapes of what stands for a weight, in config terms: blocks of rows or columns, and codes packed into words."""

from __future__ import annotations

from weightscope.sizes import Size


def blocks(size: Size, block: int) -> Size:
    """How many blocks of `block` there are in `size`, the last one perhaps smaller."""
    text = "1" if block >= size else f"⌈{size.factor}/{block}⌉" if size % block else f"{size.factor}/{block}"
    return Size(-(-size // block), text, size.keys)


def words(size: Size, bits: int, word: int = 32) -> Size:
    """How many words of `word` bits hold `size` codes of `bits`."""
    count = size * bits
    text = f"{size.factor}·{bits}/{word}" if word % bits else f"{size.factor}/{word // bits}"
    return Size(-(-int(count) // word), f"⌈{text}⌉" if int(count) % word else text, size.keys)
