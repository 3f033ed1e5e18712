"""Keys on which we still differ from transformers: rows to be emptied, never added to."""

from __future__ import annotations

# model type, or * for all: the keys, dotted where they are nested.
KNOWN: dict[str, tuple[str, ...]] = {}
