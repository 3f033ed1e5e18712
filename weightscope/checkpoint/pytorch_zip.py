"""Open a zip archive of torch.save: its directory, its pickle and the places of its storages, never their bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import NoReturn

import msgspec

from weightscope.checkpoint.pickle_machine import MAX_BYTES, SAVE_AGAIN, malformed
from weightscope.checkpoint.pickles import load
from weightscope.checkpoint.pytorch_names import torch_machine
from weightscope.checkpoint.pytorch_objects import Block, Storages
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

# Offsets and fields: APPNOTE.TXT 6.3.10 of PKWARE, 4.3.7 (local), 4.3.12 (central), 4.3.14 to 4.3.16 (ends).
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
ZIP64_EXTRA = 1
FULL = 0xFFFFFFFF
ENCRYPTED = 1
STORED, DEFLATED = 0, 8

MAX_DIRECTORY = 1 << 26
MAX_MEMBERS = 400_000
MAX_INFLATED = 1 << 26
# Pickles of tensors become a tenth; what becomes a hundredth repeats one thing without end.
MAX_RATIO, SMALL_INFLATED = 100, 1 << 20
MAX_SMALL = 64


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the directory says of one archive member."""

    flags: int
    method: int
    stored: int
    size: int
    header: int


class ZipFile(msgspec.Struct, frozen=True, kw_only=True):
    """One torch.save archive, its pickle run."""

    top: object
    data: Bytes
    where: Where
    directory: dict[bytes, Record]
    end: int
    root: bytes
    passed_over: dict[str, str]

    def name_of(self, key: str) -> bytes:
        """The member that holds a storage."""
        return self.root + b"data/" + key.encode("utf-8", "surrogatepass")

    def blocks(self, keys: Iterable[str]) -> dict[str, Block]:
        """Where each storage lies; no two may share a byte, or equal values would not mean equal storage."""
        found: dict[str, Block] = {}
        spans: list[tuple[int, int, str]] = []
        for key in keys:
            name = self.name_of(key)
            found[key] = block = _stored(self.data, self.directory, name, self.end, self.where)
            spans.append((self.directory[name].header, block.start + block.bytes, key))
        spans.sort()
        for (_, end, first), (header, _, second) in pairwise(spans):
            if header < end:
                malformed(f"storages {first!r} and {second!r} overlap", self.where)
        return found


def open_zip(data: Bytes, where: Where) -> ZipFile:
    """Read the directory and the pickle of a torch.save archive.

    Raises:
        CheckpointError: `truncated-file`, `malformed-header` or `unsafe-pickle`.
        NotImplementedByWeightscope: TorchScript, big-endian values, or tensors of an unsupported kind.
    """
    directory, end = _read_directory(data, where)
    root = _root(directory, where)
    order = directory.get(root + b"byteorder")
    if order:
        _check_order(_content(data, directory, root + b"byteorder", end, MAX_SMALL, where), where)
    pickle = _content(data, directory, root + b"data.pkl", end, MAX_BYTES, where)
    machine = torch_machine(pickle, where, Storages())
    top = load(machine)
    return ZipFile(
        top=top, data=data, where=where, directory=directory, end=end, root=root, passed_over=machine.passed_over
    )


def _root(directory: dict[bytes, Record], where: Where) -> bytes:
    """The one folder that holds everything, as torch names it after the file."""
    others = {name.rpartition(b".")[2] for name in directory}
    roots = [name[: -len(b"data.pkl")] for name in directory if name.endswith(b"/data.pkl") and name.count(b"/") == 1]
    within = {name.partition(b"/")[2] for name in directory}
    if within & {b"constants.pkl", b"model.json"} or any(name.startswith(b"code/") for name in within):
        raise NotImplementedByWeightscope(
            "is a TorchScript archive: a program with its weights, which weightscope does not read",
            where=where, hint="load it with torch.jit.load and save its state_dict",
        )  # fmt: skip
    if b"archive_format" in within:
        raise NotImplementedByWeightscope(
            "is an archive of torch.export: a program with its weights, which weightscope does not read",
            where=where, hint="load it with torch.export.load and save its state_dict",
        )  # fmt: skip
    if within & {b".data/extern_modules", b".data/python_version"}:
        raise NotImplementedByWeightscope(
            "is an archive of torch.package: a program with its weights, which weightscope does not read",
            where=where, hint="load it with torch.package, only if you trust its source, and save its state_dict",
        )  # fmt: skip
    if others == {b"npy"}:
        raise NotImplementedByWeightscope(
            "is a NumPy .npz archive, which weightscope does not read", where=where, hint="save it as safetensors"
        )
    if len(roots) != 1:
        raise CheckpointError(
            f"is a zip archive with {len(roots) or 'no'} data.pkl in it, not one that torch.save wrote",
            where=where, hint="unpack it, and give the folder or the weight file in it", code="malformed-header",
        )  # fmt: skip
    return roots[0]


def _check_order(order: bytes, where: Where) -> None:
    if order == b"big":
        raise NotImplementedByWeightscope(
            "holds big-endian values, which weightscope does not read",
            where=where, hint="load it with torch and save it again on this machine",
        )  # fmt: skip
    if order != b"little":
        malformed(f"states the byte order {order!r}", where)


def _read_directory(data: Bytes, where: Where) -> tuple[dict[bytes, Record], int]:
    """The members by name, and where the directory begins: no member reaches beyond that."""
    count, start, size = _directory_place(data, where)
    if size > MAX_DIRECTORY:
        malformed(f"claims a zip directory of {size:,} bytes; the limit is {MAX_DIRECTORY:,}", where)
    if count > MAX_MEMBERS:
        malformed(f"claims a zip directory of {count:,} members; the limit is {MAX_MEMBERS:,}", where)
    raw = data[start : start + size]
    directory: dict[bytes, Record] = {}
    position = 0
    while position < size:
        if size - position < CENTRAL.size or raw[position : position + 4] != b"PK\x01\x02":
            malformed(f"zip directory has no entry at its byte {position:,}", where)
        fields = CENTRAL.unpack_from(raw, position)
        name_at = position + CENTRAL.size
        extra_at = name_at + fields[10]
        name, position = raw[name_at:extra_at], extra_at + fields[11] + fields[12]
        if position > size:
            malformed("zip directory ends within an entry", where)
        if name in directory:
            malformed(f"zip directory lists {_shown(name)} twice", where)
        if len(directory) == count:
            malformed(f"zip directory lists more members than the {count:,} that it claims", where)
        directory[name] = _record(fields, raw[extra_at : extra_at + fields[11]], name, where)
    if len(directory) != count:
        malformed(f"zip directory lists {len(directory):,} members and claims {count:,}", where)
    return directory, start


def _directory_place(data: Bytes, where: Where) -> tuple[int, int, int]:
    # Behind the end mark there may be a comment, whose length has 16 bits.
    tail_at = max(0, len(data) - END.size - 0xFFFF)
    found = data[tail_at : len(data)].rfind(b"PK\x05\x06")
    at = tail_at + found
    if found < 0 or at + END.size > len(data):
        raise CheckpointError(
            "zip archive ends without its directory",
            where=where, hint="the file is incomplete: download or save it again", code="truncated-file",
        )  # fmt: skip
    _, _, _, _, count, size, start, _ = END.unpack(data[at : at + END.size])
    limit, locator = at, at - LOCATOR64.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        limit = LOCATOR64.unpack(data[locator : locator + LOCATOR64.size])[2]
        if limit + END64.size > locator or data[limit : limit + 4] != b"PK\x06\x06":
            malformed("end of its zip directory is not where it says", where)
        count, size, start = END64.unpack(data[limit : limit + END64.size])[7:]
    if start + size > limit:
        malformed("zip directory is not where its end says", where)
    return count, start, size


def _record(fields: tuple[int, ...], extra: bytes, name: bytes, where: Where) -> Record:
    """The entry with the sizes that did not fit 32 bits taken from its zip64 field, in the order that those have."""
    wide = [fields[9], fields[8], fields[16]]
    short = [i for i in range(3) if wide[i] == FULL]
    if short:
        packed = _extra(extra, ZIP64_EXTRA)
        if len(packed) < 8 * len(short):
            malformed(f"zip entry {_shown(name)} lacks its 64-bit sizes", where)
        for i, value in zip(short, struct.unpack_from(f"<{len(short)}Q", packed), strict=True):
            wide[i] = value
    return Record(flags=fields[3], method=fields[4], size=wide[0], stored=wide[1], header=wide[2])


def _extra(extra: bytes, wanted: int) -> bytes:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        if kind == wanted:
            return extra[position + 4 : position + 4 + size]
        position += 4 + size
    return b""


def _stored(data: Bytes, directory: dict[bytes, Record], name: bytes, end: int, where: Where) -> Block:
    """The bytes of an uncompressed member, found through its own header: only that says how long it is."""
    record = directory.get(name)
    if record is None:
        malformed(f"zip archive lacks {_shown(name)}, which its pickle refers to", where)
    _check_stored(record, name, where)
    if isinstance(data, RangedFile):
        # How much padding comes before its bytes is read with them: see `pytorch_begins.py`.
        start = record.header + LOCAL.size + len(name)
        if start + record.stored > end:
            _reaching(record, name, where)
        return Block(start, record.size)
    return Block(data_start(data, record, name, end, where), record.size)


def _check_stored(record: Record, name: bytes, where: Where) -> None:
    if record.method != STORED or record.flags & ENCRYPTED:
        raise CheckpointError(
            f"{_shown(name)} is compressed or encrypted in its zip archive, which torch.save never does",
            where=where, hint=SAVE_AGAIN, code="malformed-header",
        )  # fmt: skip
    if record.size != record.stored:
        malformed(f"zip entry {_shown(name)} has two sizes", where)


def data_start(data: Bytes, record: Record, name: bytes, end: int, where: Where) -> int:
    """Where a member's bytes begin, by its own header.

    Raises:
        CheckpointError: the directory says something else of it.
    """
    name_at = record.header + LOCAL.size
    raw = data[record.header : min(name_at + len(name), end)]
    if name_at > end or raw[:4] != b"PK\x03\x04":
        malformed(f"zip entry {_shown(name)} is not where the directory says", where)
    fields = LOCAL.unpack_from(raw)
    start: int = name_at + fields[9] + fields[10]
    if fields[9] != len(name) or raw[LOCAL.size :] != name:
        malformed(f"zip entry {_shown(name)} has another name in its own header", where)
    if start + record.stored > end:
        _reaching(record, name, where)
    return start


def _reaching(record: Record, name: bytes, where: Where) -> NoReturn:
    malformed(f"zip entry {_shown(name)} of {record.stored:,} bytes reaches into the directory", where)


def _content(data: Bytes, directory: dict[bytes, Record], name: bytes, end: int, limit: int, where: Where) -> bytes:
    """A small member's bytes; a compressed one is taken where another program has packed the archive anew."""
    record = directory[name]
    if record.method == DEFLATED and not record.flags & ENCRYPTED:
        start = data_start(data, record, name, end, where)
        return _inflated(data[start : start + min(record.stored, MAX_INFLATED)], record, name, limit, where)
    _check_stored(record, name, where)
    if record.size > limit:
        malformed(f"{_shown(name)} has {record.size:,} bytes; the limit is {limit:,}", where)
    start = data_start(data, record, name, end, where)
    return data[start : start + record.size]


def _inflated(raw: bytes, record: Record, name: bytes, limit: int, where: Where) -> bytes:
    limit = min(limit, MAX_INFLATED)
    if max(record.size, record.stored) > limit:
        malformed(f"{_shown(name)} is compressed and inflates beyond {limit:,} bytes", where)
    if record.size > MAX_RATIO * record.stored + SMALL_INFLATED:
        malformed(f"{_shown(name)} is compressed and inflates to more than {MAX_RATIO} times its size", where)
    try:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, record.size + 1)
    except zlib.error:
        content = b""
    if len(content) != record.size:
        malformed(f"{_shown(name)} does not inflate to its {record.size:,} bytes", where)
    return content


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "replace"))
