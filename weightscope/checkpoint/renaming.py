"""Tensors under other names than they are stored with: what was renamed, and a checkpoint read through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from weightscope.checkpoint.reader import Checkpoint

Place = Literal["prefix", "inside", "suffix"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A part of names that stands where the architecture has another: `found` in place of `expected`.

    Either may be empty. `count` is how many names are meant, `example` one of them as it is stored.
    """

    found: str
    expected: str
    place: Place
    count: int
    example: str


class Renaming(msgspec.Struct, frozen=True, kw_only=True):
    """Stored names -> names of the architecture, for those that differ, and why they differ.

    `superseded` are names of which the checkpoint holds a later copy (PEFT's `original_module`). `embedding_of` is the
    stored head that a tied model's embedding is read from.
    """

    names: Mapping[str, str]
    changes: tuple[Change, ...] = ()
    superseded: tuple[str, ...] = ()
    embedding_of: str = ""


def rename(checkpoint: Checkpoint, renaming: Renaming) -> Checkpoint:
    """The checkpoint with its tensors, and the names in its index, renamed."""
    new = renaming.names
    files = [
        replace(file, tensors={new.get(name, name): entry for name, entry in file.tensors.items()})
        for file in checkpoint.files
    ]
    location = checkpoint.location
    if location.index:
        places = {new.get(name, name): shard for name, shard in location.index.weight_map.items()}
        location = replace(location, index=replace(location.index, places=places))
    return replace(
        checkpoint,
        files=files,
        location=location,
        tensors={new.get(name, name): entry for name, entry in checkpoint.tensors.items()},
        renaming=renaming,
    )
