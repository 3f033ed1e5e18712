"""What is asked of `memory`: how long and how many sequences, in which types, on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from weightscope.analyses.memory.devices import Device
from weightscope.analyses.memory.optimizers import Recipe
from weightscope.analyses.memory.pages import PAGE_SIZE
from weightscope.analyses.memory.ranks import Ranks
from weightscope.analyses.memory.sizing import MOST
from weightscope.errors import UsageError


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens a sequence, sequences, vectors that cross-attention looks at, tokens a page; None for what is usual.

    It is to fit on a `device`, divided among `ranks`, and `quantize` are the settings of a method that would quantize
    it, or the name of one of llama.cpp's file types. With a `recipe` it is trained. `dtype` is what plain weights are
    loaded in, `kv_dtype` that of keys and values, both as safetensors spells them.
    """

    context: int | None = None
    batch: int = 1
    source: int | None = None
    page_size: int = PAGE_SIZE
    device: Device | None = None
    ranks: Ranks = Ranks()
    quantize: Mapping[str, Any] | str | None = None
    recipe: Recipe | None = None
    dtype: str | None = None
    kv_dtype: str | None = None

    def __post_init__(self) -> None:
        """Raise a UsageError for a number that is no number of tokens or sequences."""
        least = {"context": 1, "batch": 1, "source_tokens": 0, "page_size": 1}
        given = (self.context, self.batch, self.source, self.page_size)
        for (name, at_least), value in zip(least.items(), given, strict=True):
            if value is not None and not at_least <= value <= MOST:
                raise UsageError(f"{name} is {value:,}: it is from {at_least} to {MOST:,}")
