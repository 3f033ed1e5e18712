"""JSON objects in which no key is given twice."""

from __future__ import annotations

import json
from typing import Any


class RepeatedKeyError(Exception):
    """An object that gives one key two values."""

    def __init__(self, key: str, first: object, second: object) -> None:
        super().__init__(f"gives {key!r:.200} twice, as {_shown(first)} and as {_shown(second)}")
        self.key = key


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object from its pairs.

    Raises:
        RepeatedKeyError: a key is there twice.
    """
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise RepeatedKeyError(key, seen[key], value)
            seen[key] = value
    return data


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
