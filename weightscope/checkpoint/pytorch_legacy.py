"""Open a file of torch.save before 1.6: five pickles in a row, then each storage's length and bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.pickle_machine import MAX_BYTES, SAVE_AGAIN, Machine, malformed
from weightscope.checkpoint.pickles import load
from weightscope.checkpoint.pytorch_names import torch_machine
from weightscope.checkpoint.pytorch_objects import Block, Storages
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT = struct.Struct("<q")
# How much of a file is read in the hope that its pickles end there: of one behind a network less than of one here.
PREFIXES = (1 << 18, 1 << 22, 1 << 26)
LOCAL_PREFIXES = (*PREFIXES, MAX_BYTES + 1)


class LegacyFile(msgspec.Struct, frozen=True, kw_only=True):
    """One such file, its pickles run and its storages found; `counts` are the elements of each storage."""

    top: object
    where: Where
    places: dict[str, Block]
    counts: dict[str, int]
    passed_over: dict[str, str]

    def blocks(self, keys: Iterable[str]) -> dict[str, Block]:
        """Where each storage lies."""
        found: dict[str, Block] = {}
        for key in keys:
            if key not in self.places:
                malformed(f"lacks storage {key!r}, which its pickle refers to", self.where)
            found[key] = self.places[key]
        return found


def open_legacy(data: Bytes, where: Where) -> LegacyFile:
    """Read the pickles of a file that torch.save wrote before it made zip archives, and step over its storages.

    Raises:
        CheckpointError: `truncated-file`, `malformed-header` or `unsafe-pickle`.
        NotImplementedByWeightscope: another version, or tensors of an unsupported kind.
    """
    # The pickles come first, of a length that nothing tells.
    for length in PREFIXES if isinstance(data, RangedFile) else LOCAL_PREFIXES:
        try:
            return _open(data[0:length], data, where)
        except CheckpointError as error:
            if error.code != "truncated-file" or length >= len(data):
                raise
    raise NotImplementedByWeightscope(
        f"has torch's old format with more than {PREFIXES[-1]:,} bytes of pickles, too many to fetch",
        where=where,
        hint="download the file to look at it",
    )


def _open(prefix: bytes, data: Bytes, where: Where) -> LegacyFile:
    """The same, where the pickles are among the file's first bytes."""
    storages = Storages()
    machine = torch_machine(prefix, where, storages)
    magic = load(machine)
    if type(magic) is not int or magic != MAGIC:
        others = ", ".join(machine.passed_over)
        raise CheckpointError(
            "is a pickle that torch.save did not write" + (f"; it holds {others}" if others else ""),
            where=where,
            hint="load it with Python, only if you trust its source, and save its weights as safetensors",
            code="malformed-header",
        )
    version = load(machine)
    if type(version) is not int or version != PROTOCOL:
        shown = f"version {version}" if type(version) is int else "an unknown version"
        raise NotImplementedByWeightscope(f"is of {shown} of torch's old format", where=where, hint=SAVE_AGAIN)
    # The system's byte order is stated next, but torch writes the values little-endian whatever it says.
    load(machine)
    top = load(machine)
    keys = load(machine)
    if not isinstance(keys, list):
        malformed("does not list its storages after its pickle", where)
    places = _places(machine, keys, storages, data)
    counts = {key: block.bytes * 8 // DTYPE_BITS[storages.by_key[key].dtype] for key, block in places.items()}
    return LegacyFile(top=top, where=where, places=places, counts=counts, passed_over=machine.passed_over)


def _places(machine: Machine, keys: list[object], storages: Storages, data: Bytes) -> dict[str, Block]:
    """Each storage's place, by stepping from length to length; the element size is that of its first mention."""
    position, end, places = machine.position, len(data), dict[str, Block]()
    for key in keys:
        storage = storages.by_key.get(key) if isinstance(key, str) else None
        if storage is None or storage.key in places:
            malformed("lists a storage twice, or one that its pickle does not know", machine.where)
        if position + COUNT.size > end:
            _cut_short(storage.key, machine.where)
        # Of a file behind a network only the first bytes are fetched; a length further on is what the pickle says.
        if position + COUNT.size <= len(machine.data) or not isinstance(data, RangedFile):
            size = COUNT.unpack(data[position : position + COUNT.size])[0] * (DTYPE_BITS[storage.dtype] // 8)
            if size != storage.bytes:
                malformed(f"storage {storage.key!r} has {size:,} bytes, not {storage.bytes:,}", machine.where)
        position += COUNT.size
        if storage.bytes > end - position:
            _cut_short(storage.key, machine.where)
        places[storage.key] = Block(position, storage.bytes)
        position += storage.bytes
    return places


def _cut_short(key: str, where: Where) -> NoReturn:
    raise CheckpointError(
        f"ends within storage {key!r}",
        where=where,
        hint="the file is incomplete: download or save it again",
        code="truncated-file",
    )
