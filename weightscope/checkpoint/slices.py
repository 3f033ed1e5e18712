"""The bytes of a file as readers take them: a length, and slices. What is here is read here; the rest, elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from weightscope.errors import CheckpointError

READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
# First bytes that are kept.
FEW = 4096


class Bytes(Protocol):
    """What every reader of headers reads from: bytes, a local file, a file behind a network."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, place: slice, /) -> bytes:
        """Those of a slice, fewer where the file ends before it."""
        ...


class LocalFile:
    """Slices of a file here, read unbuffered, so that not a byte of data is read along.

    It is not mapped: a mapped file that is cut short ends the process.

    Raises:
        CheckpointError: it is no regular file, or a link to nothing.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = _size_of(path)
        self._file = os.open(path, READ)
        self._first = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        if stop <= start:
            return b""
        if stop <= len(self._first):
            return self._first[start:stop]
        data = _read(self._file, stop - start, start)
        # One call gives no more than 2 GiB.
        while len(data) < stop - start:
            more = _read(self._file, stop - start - len(data), start + len(data))
            if not more:
                raise CheckpointError(
                    f"ends {stop - start - len(data):,} bytes early",
                    where=self._path,
                    hint="the file may have changed since it was opened",
                    code="truncated-file",
                )
            data += more
        # What tells the format is also where the header's length stands.
        if not start and stop <= FEW:
            self._first = data
        return data


class Window:
    """The bytes of a file from `start` to `stop`, as a file of their own."""

    def __init__(self, data: Bytes, start: int, stop: int) -> None:
        self._data = data
        self._start = start
        self._size = stop - start

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        return self._data[self._start + start : self._start + max(start, stop)]


def _size_of(path: Path) -> int:
    """The bytes of a file; of a pipe, opening would wait for somebody to write."""
    try:
        status = os.stat(path)
    except OSError:
        if path.is_symlink() and not path.exists():
            raise CheckpointError("a broken symbolic link", where=path, hint="download it again") from None
        raise
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError("not a regular file", where=path, hint="check that this is the file you meant")
    return status.st_size


def _seek_and_read(file: int, count: int, start: int) -> bytes:
    os.lseek(file, start, os.SEEK_SET)
    return os.read(file, count)


# Windows has no pread.
_read: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)
