"""Open a file of torch.save before 0.1.11: a tar archive of storages, tensors that refer to them, and a pickle.

Its layout is told by `legacy_load` in torch/serialization.py, which reads it to this day: `storages` and `tensors` are
a count and that many items, a pickle and raw numbers each; `pickle` refers to both by number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.limits import MAX_TENSORS
from weightscope.checkpoint.pickle_machine import MAX_BYTES, Global, Machine, malformed
from weightscope.checkpoint.pickles import load
from weightscope.checkpoint.pytorch_names import torch_machine
from weightscope.checkpoint.pytorch_objects import MAX_DIMENSIONS, Block, Storage, StoredTensor, tensor_of
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

BLOCK = 512
# What torch.save puts into the archive; its own reader needs three of them.
MEMBERS = ("storages", "tensors", "pickle")
# Of an archive of more members only the first are looked at: it is none of torch.save's.
MAX_MEMBERS = 64
# The pickle that describes a storage or a tensor takes some hundred bytes.
ITEM = 4096
PAX, LONG_NAME = (b"x", b"g"), (b"L", b"K")


class TarFile(msgspec.Struct, frozen=True, kw_only=True):
    """One such file, its pickles run and its storages found."""

    top: object
    where: Where
    places: dict[str, Block]
    passed_over: dict[str, str]

    def blocks(self, keys: Iterable[str]) -> dict[str, Block]:
        """Where each storage lies."""
        return {key: self.places[key] for key in keys}


def open_tar(data: Bytes, where: Where) -> TarFile:
    """Read the pickles of a tar archive of torch.save, and step over its storages.

    Raises:
        CheckpointError: `truncated-file`, `malformed-header` or `unsafe-pickle`.
        NotImplementedByWeightscope: a tar archive of something else, or one that is not here.
    """
    if isinstance(data, RangedFile):
        raise NotImplementedByWeightscope(
            "is a tar archive, as torch.save wrote before 0.1.11", where=where, hint="download it to look at it"
        )
    members = _members(data, where)
    if not all(name in members for name in MEMBERS):
        shown = ", ".join(list(members)[:3]) + (" …" if len(members) > 3 else "")
        raise NotImplementedByWeightscope(
            f"is a tar archive of other files ({shown or 'none'})",
            where=where,
            hint="unpack it and name the weights in it",
        )
    storages, places = _storages(_Section(data, members["storages"], where))
    objects: dict[int, object] = {**storages, **_tensors(_Section(data, members["tensors"], where), storages)}
    start, size = members["pickle"]

    def persistent(machine: Machine, identity: object) -> object:
        number = int(identity) if isinstance(identity, str) and identity.isdigit() and len(identity) < 25 else None
        if number not in objects:
            machine.fail("refers to a tensor that the archive does not contain")
        return objects[number]

    machine = torch_machine(data[start : start + min(size, MAX_BYTES + 1)], where, persistent)
    return TarFile(top=load(machine), where=where, places=places, passed_over=machine.passed_over)


class _Section:
    """A member of the archive, read from its begin to its end: pickles and raw numbers in turn."""

    def __init__(self, data: Bytes, span: tuple[int, int], where: Where) -> None:
        self.data = data
        self.position, self.end = span[0], sum(span)
        self.where = where

    def pickle(self, most: int = ITEM) -> object:
        """The next pickle, of as many bytes at most."""
        window = self.data[self.position : min(self.end, self.position + most)]
        machine = torch_machine(window, self.where, _refers)
        value = load(machine)
        self.position += machine.position
        return value

    def numbers(self, form: str) -> tuple[int, ...]:
        """The next raw numbers."""
        size = struct.calcsize(form)
        raw = self.data[self.position : min(self.end, self.position + size)]
        if len(raw) < size:
            self.cut_short()
        self.position += size
        return struct.unpack(form, raw)

    def skip(self, size: int) -> int:
        """Step over bytes, and say where they begin."""
        start = self.position
        if size > self.end - start:
            self.cut_short()
        self.position += size
        return start

    def count(self) -> int:
        """How many items follow."""
        value = self.pickle()
        if type(value) is not int or not 0 <= value <= MAX_TENSORS:
            self.fail("has an invalid number of tensors or storages")
        return value

    def fail(self, what: str) -> NoReturn:
        """Raise: the archive is not one of torch.save's."""
        malformed(what, self.where)

    def cut_short(self) -> NoReturn:
        """Raise: the archive ends too early."""
        raise CheckpointError(
            "ends within its tensors",
            where=self.where, hint="the file is incomplete: download or save it again", code="truncated-file",
        )  # fmt: skip


def _refers(machine: Machine, _identity: object) -> NoReturn:
    machine.fail("refers to an object outside the pickle")


def _storages(section: _Section) -> tuple[dict[int, Storage], dict[str, Block]]:
    """The storages, and the parts of storages that are storages of their own, by number; where each lies."""
    storages: dict[int, Storage] = {}
    places: dict[str, Block] = {}
    for _ in range(section.count()):
        match section.pickle():
            case (int() as number, _, Global(name=name, dtype=str() as dtype)) if name.endswith("Storage"):
                pass
            case _:
                section.fail("describes an invalid storage")
        (elements,) = section.numbers("<q")
        size = elements * (DTYPE_BITS[dtype] // 8)
        if elements < 0 or number in storages:
            section.fail(f"storage {number} appears twice or has a negative size")
        storages[number] = Storage(key=str(number), dtype=dtype, bytes=size)
        places[str(number)] = Block(section.skip(size), size)
    views = section.pickle(MAX_BYTES)
    for view in views if isinstance(views, list) else ():
        match view:
            case (int() as number, int() as root, int() as offset, int() as elements) if root in storages:
                storages[number] = _part(section, storages[root], offset, elements)
            case _:
                section.fail("describes an invalid part of a storage")
    return storages, places


def _part(section: _Section, root: Storage, offset: int, elements: int) -> Storage:
    width = DTYPE_BITS[root.dtype] // 8
    skip, size = offset * width, elements * width
    if skip < 0 or size < 0 or skip + size > root.bytes:
        section.fail(f"describes a part of storage {root.key} that reaches beyond it")
    return Storage(key=root.key, dtype=root.dtype, bytes=size, skip=root.skip + skip)


def _tensors(section: _Section, storages: dict[int, Storage]) -> dict[int, StoredTensor]:
    tensors: dict[int, StoredTensor] = {}
    # Only for the messages of what checks a tensor.
    machine = torch_machine(b"", section.where, _refers)
    for _ in range(section.count()):
        match section.pickle():
            case (int() as number, int() as storage, Global()) if storage in storages:
                pass
            case _:
                section.fail("describes an invalid tensor, or one whose storage is missing")
        # Four bytes more are written than the number of dimensions takes.
        dimensions, _ = section.numbers("<ii")
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            section.fail("gives a tensor an invalid shape")
        shape, strides = section.numbers(f"<{dimensions}q"), section.numbers(f"<{dimensions}q")
        (offset,) = section.numbers("<q")
        tensors[number] = tensor_of(machine, storages[storage], offset, shape, strides)
    return tensors


def _members(data: Bytes, where: Where) -> dict[str, tuple[int, int]]:
    """Where the content of each member begins and how long it is. Format: `pax` in POSIX.1-2017, ustar before it."""
    members: dict[str, tuple[int, int]] = {}
    position, end = 0, len(data)
    for _ in range(2 * MAX_MEMBERS):
        block = data[position : min(end, position + BLOCK)]
        if len(block) == BLOCK and not block.strip(b"\0"):
            break
        kind, size, start = block[156:157], _size(block[124:136]), position + BLOCK
        if size is None and len(block) == BLOCK:
            malformed("has a damaged tar header", where)
        if size is None or size > end - start:
            raise CheckpointError(
                "ends within a member of its tar archive",
                where=where, hint="the file is incomplete: download or save it again", code="truncated-file",
            )  # fmt: skip
        if kind not in (*PAX, *LONG_NAME):
            name = block[:100].rstrip(b"\0").decode("utf-8", "replace")
            members.setdefault(name.removeprefix("./"), (start, size))
        position = start + -(-size // BLOCK) * BLOCK
    return members


def _size(field: bytes) -> int | None:
    """A size in octal digits, or where those do not suffice in binary."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None
