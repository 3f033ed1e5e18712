"""Files that are elsewhere, fetched by blocks as they are read and not kept: no more than somebody agreed to."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from weightscope.checkpoint.slices import Bytes
from weightscope.errors import RemoteError

# Bytes that are asked for at once: a round trip costs more than a few of them take.
BLOCK = 1 << 22
# The same of a sample, which takes little of each place that it looks at.
SMALL_BLOCK = 1 << 14
# Blocks that are in memory at a time: small tensors beside each other lie in one, and several threads read.
KEPT = 32
Fetch = Callable[[int, int], bytes]


class Beginnings(Protocol):
    """Where the parts of a file begin, which only bytes near them tell."""

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the header takes each to begin, in order."""
        ...

    def begin(self, data: Bytes, number: int) -> int:
        """Where part `number` of the file does begin.

        Raises:
            CheckpointError: it is not what the header says.
        """
        ...


def agreeable(count: int) -> str:
    """A size to agree to for so many bytes, a tenth more: `460MB`, `18GB`."""
    megabytes = -(-count * 11 // 10_000_000)
    return f"{megabytes}MB" if megabytes < 10_000 else f"{-(-megabytes // 1000)}GB"


class Blocks:
    """The last blocks of all files of a model, fetched by whoever needs one first: at most so many bytes in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._taken = 0
        self._kept: OrderedDict[tuple[str, int, int], Future[bytes]] = OrderedDict()

    def get(self, where: str, start: int, stop: int, fetch: Fetch) -> bytes:
        """A block of the file of that name.

        Raises:
            RemoteError: it cannot be had, the file changed, or it is more than was agreed to.
        """
        key = (where, start, stop)
        with self._lock:
            block = self._kept.get(key)
            mine = block is None
            if block is None:
                self._take(stop - start, where)
                block = self._kept[key] = Future()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if mine:
            try:
                data = fetch(start, stop)
                if len(data) != stop - start:
                    what = f"{len(data):,} bytes were received of {stop - start:,}"
                    raise RemoteError(what, where=where, hint="try again later")
                block.set_result(data)
            except BaseException as error:  # noqa: BLE001 - others that wait for the block get it too
                block.set_exception(error)
        return block.result()

    def _take(self, count: int, where: str) -> None:
        self._taken += count
        if self._taken > self._most:
            raise RemoteError(
                f"reading it takes more than the {self._most:,} bytes that were agreed to",
                where=where,
                hint=f"some of it is read twice; agree to more: --stream {agreeable(2 * self._most)}",
            )


class Streamed:
    """A file elsewhere: `fetch(start, stop)` gets its bytes, `where` is how a message names it.

    `span` is where its values begin, and its size.
    """

    def __init__(
        self,
        where: str,
        fetch: Fetch,
        blocks: Blocks,
        *,
        span: tuple[int, int],
        beginnings: Beginnings | None = None,
        block: int | None = None,
    ) -> None:
        self.where = where
        self._fetch = fetch
        self._blocks = blocks
        self._first, self._size = span
        self._beginnings = beginnings
        self._block = block or BLOCK
        self._begun: dict[int, int] = {}

    def beside(self, where: str, size: int, fetch: Fetch) -> Streamed:
        """Another file, whose bytes count with those of this one."""
        return Streamed(where, fetch, self._blocks, span=(0, size))

    def sampled(self) -> Streamed:
        """The same file, fetched in small blocks."""
        return Streamed(
            self.where,
            self._fetch,
            self._blocks,
            span=(self._first, self._size),
            beginnings=self._beginnings,
            block=SMALL_BLOCK,
        )

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        found = bytearray()
        while start < stop:
            data = self.block_at(start)[: stop - start]
            found += data
            start += len(data)
        return bytes(found)

    def reader(self) -> StreamedReader:
        """A place in the file to read from."""
        return StreamedReader(self)

    def place(self, at: int) -> int:
        """Where a byte lies that the header takes to lie at `at`.

        Raises:
            CheckpointError: the file is not what its header says.
            RemoteError: the bytes that tell cannot be had.
        """
        if self._beginnings is None:
            return at
        starts = self._beginnings.starts
        number = bisect_right(starts, at) - 1
        if number not in self._begun:
            self._begun[number] = self._beginnings.begin(self, number)
        return self._begun[number] + at - starts[number]

    def block_at(self, at: int) -> memoryview:
        """What is in one block from a byte on; nothing at the end of the file.

        Raises:
            RemoteError: it cannot be had.
        """
        if at >= self._size:
            return memoryview(b"")
        start = at - (at - self._first) % self._block
        # The header, where it is read, is in the blocks before the first value.
        begin, end = max(start, 0), min(start + self._block, self._size)
        return memoryview(self._blocks.get(self.where, begin, end, self._fetch))[at - begin :]


class StreamedReader:
    """Reads on from a place, as a file does."""

    def __init__(self, file: Streamed) -> None:
        self._file = file
        self._at = 0

    def seek(self, at: int) -> None:
        """Go to a byte, by the header's account."""
        self._at = self._file.place(at)

    def readinto(self, view: memoryview) -> int:
        """Fill some of a buffer; the number of bytes, 0 at the end."""
        data = self._file.block_at(self._at)[: len(view)]
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
