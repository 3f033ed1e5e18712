"""Where the storages of a PyTorch file elsewhere begin: bytes before each tell, which are fetched with its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from weightscope.checkpoint.pickle_machine import malformed
from weightscope.checkpoint.pytorch_legacy import COUNT, LegacyFile
from weightscope.checkpoint.pytorch_objects import Block, Saved
from weightscope.checkpoint.pytorch_zip import Record, ZipFile, data_start
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import Where

if TYPE_CHECKING:
    from weightscope.checkpoint.streamed import Beginnings


def beginnings_of(saved: Saved, blocks: Mapping[str, Block]) -> Beginnings | None:
    """How to find where each block begins; None where that is known."""
    keys = sorted(blocks, key=lambda key: blocks[key].start)
    starts = tuple(blocks[key].start for key in keys)
    if isinstance(saved, ZipFile):
        names = [saved.name_of(key) for key in keys]
        members = tuple((name, saved.directory[name]) for name in names)
        return InZip(where=saved.where, end=saved.end, starts=starts, members=members)
    if isinstance(saved, LegacyFile):
        return InLegacy(where=saved.where, starts=starts, counts=tuple((key, saved.counts[key]) for key in keys))
    return None


class InZip(msgspec.Struct, frozen=True, kw_only=True):
    """Storages of a zip archive: the header of each member tells how much padding comes before its bytes."""

    where: Where
    end: int
    starts: tuple[int, ...]
    members: tuple[tuple[bytes, Record], ...]

    def begin(self, data: Bytes, number: int) -> int:
        """Where a storage's bytes begin.

        Raises:
            CheckpointError: the archive's directory and the member's header disagree.
        """
        name, record = self.members[number]
        return data_start(data, record, name, self.end, self.where)


class InLegacy(msgspec.Struct, frozen=True, kw_only=True):
    """Storages of torch's old format: the number of its elements comes before each."""

    where: Where
    starts: tuple[int, ...]
    counts: tuple[tuple[str, int], ...]

    def begin(self, data: Bytes, number: int) -> int:
        """Where a storage's bytes begin.

        Raises:
            CheckpointError: another number of elements is there than its pickle says.
        """
        start, (key, count) = self.starts[number], self.counts[number]
        (found,) = COUNT.unpack(data[start - COUNT.size : start])
        if found != count:
            malformed(f"storage {key!r} has {found:,} elements, not {count:,}", self.where)
        return start
