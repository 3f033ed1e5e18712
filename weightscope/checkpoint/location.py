"""The files that make up what a user named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.sets import Beside

if TYPE_CHECKING:
    from weightscope.checkpoint.index import Index

# Formats whose files only make sense together; each has a reader of that name beside this file.
IN_PARTS = ("dcp", "deepspeed", "megatron", "meta", "pipeline")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """The files that make up what was named.

    `format` is safetensors, pytorch, gguf, index (an index and none of its shards), config, or that of parts which are
    put together (`together.py`). `weights` lists the files in reading order, `missing` the shards that should be there.
    `notes` say in words what was chosen over what. `shards` is how many there are of a model of which one shard was
    named. `beside` is what else lies there. `within` is the folder that was taken for the one that was named, if it
    is another: the last step of a run.
    """

    format: str
    weights: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()
    index: Index | None = None
    config: Path | None = None
    notes: tuple[str, ...] = ()
    shards: int = 0
    beside: tuple[Beside, ...] = ()
    within: Path | None = None

    __repr__ = brief

    @property
    def complete(self) -> bool:
        """Whether there are weights, and none of them missing."""
        return bool(self.weights) and not self.missing
