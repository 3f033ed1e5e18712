"""The values of files that are elsewhere, fetched as they are read and not kept: no more than somebody agreed to."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from weightscope.checkpoint.entry import DOWNLOAD
from weightscope.errors import CheckpointError, RemoteError, UsageError

if TYPE_CHECKING:
    from weightscope.checkpoint.reader import Checkpoint

# Bytes that are asked for at once: a round trip costs more than a few of them take.
BLOCK = 1 << 22
# Blocks that are in memory at a time: small tensors beside each other lie in one, and several threads read.
KEPT = 32
# Formats of which the header alone tells where values lie.
FORMATS = ("safetensors", "gguf")
Fetch = Callable[[int, int], bytes]


def bytes_elsewhere(checkpoint: Checkpoint) -> int:
    """The bytes of values in files that are elsewhere."""
    return sum(file.bytes - file.data_start for file in checkpoint.files if file.remote)


def agreeable(count: int) -> str:
    """A size to agree to for so many bytes, a tenth more: `460MB`, `18GB`."""
    megabytes = -(-count * 11 // 10_000_000)
    return f"{megabytes}MB" if megabytes < 10_000 else f"{-(-megabytes // 1000)}GB"


def stream(checkpoint: Checkpoint, most: int) -> None:
    """Let the values of files that are elsewhere be read over the network: at most so many bytes, and none is stored.

    Raises:
        CheckpointError: values of such a format cannot be read that way.
        UsageError: it takes more.
    """
    away = [file for file in checkpoint.files if file.remote]
    for file in away:
        if file.format not in FORMATS:
            what = f"values of {file.format} files cannot be read over the network"
            raise CheckpointError(what, where=file.remote, hint=DOWNLOAD)
    size = bytes_elsewhere(checkpoint)
    if size > most:
        raise UsageError(
            f"the values take {size:,} bytes, more than the {most:,} that were agreed to",
            where=checkpoint.folder.where,
            hint=f"agree to more: --stream {agreeable(size)}",
        )
    blocks = Blocks(most)
    for file in away:
        if file.fetch:
            file.streamed = Streamed(file.fetch, file.data_start, file.bytes, file.remote, blocks)


class Blocks:
    """The last blocks of all files of a model, fetched by whoever needs one first: at most so many bytes in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._taken = 0
        self._kept: OrderedDict[tuple[str, int], Future[bytes]] = OrderedDict()

    def get(self, where: str, start: int, stop: int, fetch: Fetch) -> bytes:
        """A block of the file of that name.

        Raises:
            RemoteError: it cannot be had, the file changed, or it is more than was agreed to.
        """
        key = (where, start)
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
                hint="what looks alike is read twice; agree to more",
            )


class Streamed:
    """A file elsewhere: `fetch(start, stop)` gets its bytes, `where` is how a message names it."""

    def __init__(self, fetch: Fetch, first: int, size: int, where: str, blocks: Blocks) -> None:
        self.where = where
        self._fetch = fetch
        self._first = first
        self._size = size
        self._blocks = blocks

    def reader(self) -> StreamedReader:
        """A place in the file to read from."""
        return StreamedReader(self)

    def block_at(self, at: int) -> memoryview:
        """What is in one block from a byte on; nothing at the end of the file.

        Raises:
            RemoteError: it cannot be had.
        """
        if at >= self._size:
            return memoryview(b"")
        start = at - (at - self._first) % BLOCK
        data = self._blocks.get(self.where, start, min(start + BLOCK, self._size), self._fetch)
        return memoryview(data)[at - start :]


class StreamedReader:
    """Reads on from a place, as a file does."""

    def __init__(self, file: Streamed) -> None:
        self._file = file
        self._at = 0

    def seek(self, at: int) -> None:
        """Go to a byte."""
        self._at = at

    def readinto(self, view: memoryview) -> int:
        """Fill some of a buffer; the number of bytes, 0 at the end."""
        data = self._file.block_at(self._at)[: len(view)]
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
