"""A place in the header of a GGUF file, and as much of the file as has been needed so far."""

from __future__ import annotations

from itertools import repeat
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class under the name of one
from typing import NoReturn

from weightscope.checkpoint.slices import Bytes
from weightscope.errors import CheckpointError, Where

REDOWNLOAD = "download the file again"
# Published headers have up to 20 MB, nearly all of it the vocabulary; 100 MB is what safetensors allows.
MAX_HEADER = 100_000_000
# As much as is read first, and by how much more each time it is too little: a vocabulary takes three or four times.
CHUNK, GROWTH = 100_000, 4
U32, U64 = Struct("<I"), Struct("<Q")


class Cursor:
    """A place in the file, and as much of the file as has been needed so far."""

    def __init__(self, data: Bytes, where: Where) -> None:
        self.where = where
        self.at = 0
        self._data = data
        self._size = len(data)
        self.buffer = data[0 : min(CHUNK, self._size)]

    def need(self, count: int) -> None:
        """See that so many bytes from here are in the buffer."""
        end = self.at + count
        if end > len(self.buffer):
            self._more(end)

    def _more(self, end: int) -> None:
        if end > MAX_HEADER:
            self.malformed(f"the header goes on after {MAX_HEADER:,} bytes, the most that is read")
        if end > self._size:
            raise CheckpointError(
                f"ends after {self._size:,} bytes, within its header",
                where=self.where,
                hint=REDOWNLOAD,
                code="truncated-file",
            )
        have = len(self.buffer)
        until = min(self._size, max(end, GROWTH * have))
        self.buffer += self._data[have:until]

    def u32(self) -> int:
        """The next four bytes as a number."""
        self.need(4)
        value: int = U32.unpack_from(self.buffer, self.at)[0]
        self.at += 4
        return value

    def u64(self) -> int:
        """The next eight bytes as a number."""
        self.need(8)
        value: int = U64.unpack_from(self.buffer, self.at)[0]
        self.at += 8
        return value

    def text(self, most: int, what: str) -> str:
        """A length and so many bytes of UTF-8."""
        length = self.u64()
        if length > most:
            self.malformed(f"{what} has {length:,} bytes; the limit is {most:,}")
        self.need(length)
        raw = self.buffer[self.at : self.at + length]
        self.at += length
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.malformed(f"{what} is not UTF-8: {raw[:40]!r}")

    def skip_strings(self, count: int) -> None:
        """Go past so many strings without looking at them."""
        read, at, buffer = U64.unpack_from, self.at, self.buffer
        for _ in repeat(None, count):
            try:
                at += 8 + read(buffer, at)[0]
            except (StructError, OverflowError):
                # Beyond what is in the buffer.
                self.at = at
                length = self.u64()
                at, buffer = self.at + length, self.buffer
        self.at = at
        self.need(0)

    def malformed(self, what: str) -> NoReturn:
        """Raise for a header that does not follow the format."""
        raise CheckpointError(what, where=self.where, hint=REDOWNLOAD, code="malformed-header")
