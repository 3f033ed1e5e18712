"""An answer that fits: long lists are cut and it is said where; nothing in its texts is invisible."""

from __future__ import annotations

import msgspec

from weightscope.errors import UsageError
from weightscope.escapes import json_text, visible
from weightscope.mcp.asked import MOST_ITEMS

MAX_ANSWER = 1_000_000


def fitted(document: object) -> str:
    """The document as JSON, on one line.

    `left_out` counts the items that are missing, by the path of their list. Characters that show nothing are spelled
    out, because clients show models what a terminal would hide from people.

    Raises:
        UsageError: it is too long all the same.
    """
    left_out: dict[str, int] = {}
    data = _shown(msgspec.to_builtins(document), "", left_out)
    if left_out and isinstance(data, dict):
        data["left_out"] = left_out
    text = json_text(data, indent=None)
    if len(text) > MAX_ANSWER:
        raise UsageError(f"the answer has more than {MAX_ANSWER:,} characters", hint="ask for less")
    return text


def _shown(value: object, path: str, left_out: dict[str, int]) -> object:
    """The value with visible texts, and lists of at most `MOST_ITEMS`."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): _shown(item, f"{path}.{key}".lstrip("."), left_out) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > MOST_ITEMS:
            left_out[visible(path)] = len(value) - MOST_ITEMS
        return [_shown(item, f"{path}[{place}]", left_out) for place, item in enumerate(value[:MOST_ITEMS])]
    return value
