"""A PyTorch file opened for what it holds: its objects, and where each of their tensors lies."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.pytorch import saved_in
from weightscope.checkpoint.pytorch_objects import Block, StoredTensor, place
from weightscope.checkpoint.pytorch_weights import part_in, tensors_in
from weightscope.checkpoint.slices import LocalFile
from weightscope.checkpoint.training import Part
from weightscope.errors import CheckpointError


class Opened(msgspec.Struct, frozen=True):
    """The file's header, without tensors, the mapping that it holds, and the places of its storages."""

    header: FileHeader
    top: dict[object, object]
    number: int
    blocks: dict[str, Block]

    def entry(self, name: str, tensor: StoredTensor) -> TensorEntry:
        """Where a tensor of the file lies.

        Raises:
            CheckpointError: its storage does not have its bytes.
        """
        entry = place(name, tensor, self.blocks[tensor.storage.key], self.header.where)
        entry.file = self.number
        return entry

    def part(self, name: str, value: object, kind: str | None = None) -> Part:
        """The tensors under a key, counted."""
        return part_in(name, value, kind)

    def parts(self, without: Collection[object] = ()) -> Iterator[Part]:
        """All top-level keys but some, counted."""
        for key, value in self.top.items():
            if isinstance(key, str) and key not in without:
                yield self.part(key, value)


def open_saved(path: Path, number: int, *, file_format: str) -> Opened:
    """The file, which is file `number` of a checkpoint of that format.

    Raises:
        CheckpointError: it is damaged, or holds something else than a mapping.
    """
    with LocalFile(path) as data:
        saved = saved_in(data, path)
        if not isinstance(saved.top, dict):
            raise CheckpointError(
                "holds no mapping", where=path, hint="check that this is the file you meant", code="malformed-header"
            )
        keys = dict.fromkeys(tensor.storage.key for _, tensor in tensors_in("", saved.top, set()))
        blocks = saved.blocks(keys)
        header = FileHeader(path=path, format=file_format, bytes=len(data), data_start=0, tensors={})
    return Opened(header, saved.top, number, blocks)
