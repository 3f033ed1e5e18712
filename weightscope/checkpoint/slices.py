"""The bytes of a file as readers take them: a length, and slices. What is here is read here; the rest, elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from weightscope.errors import CheckpointError


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
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._size = self._file.seek(0, 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        if stop <= start:
            return b""
        self._file.seek(start)
        data = self._file.read(stop - start)
        # One call gives no more than 2 GiB.
        while len(data) < stop - start:
            more = self._file.read(stop - start - len(data))
            if not more:
                raise CheckpointError(
                    f"ends {stop - start - len(data):,} bytes early",
                    where=self._path,
                    hint="the file may have changed since it was opened",
                    code="truncated-file",
                )
            data += more
        return data
