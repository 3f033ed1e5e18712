"""How much a checkpoint may hold: far above what is published, and little enough to be read in seconds."""

from __future__ import annotations

from weightscope.checkpoint.entry import FileHeader
from weightscope.errors import CheckpointError, Where

# Tensors of a checkpoint, of one file and in an index; the largest that are published have 0.2 million.
MAX_TENSORS = 1_250_000
# Characters of a tensor's or a shard's name; the longest that are published have some 150.
MAX_NAME = 512
# Weight files of a checkpoint.
MAX_SHARDS = 100_000
# Bytes of all headers together; a tensor's entry takes some 110.
MAX_HEADERS = 500_000_000

HINT = "check that this is a checkpoint: no published model has so many"


class Taken:
    """What the files read so far hold together; one file may be named many times, by links and by an index."""

    def __init__(self) -> None:
        self._tensors = 0
        self._bytes = 0

    def add(self, header: FileHeader) -> None:
        """Count one more file.

        Raises:
            CheckpointError: `malformed-header`; the files hold more than is read.
        """
        self._tensors += len(header.tensors)
        self._bytes += header.data_start
        if self._tensors > MAX_TENSORS:
            raise too_many(f"this file brings the checkpoint to over {MAX_TENSORS:,} tensors", header.where)
        if self._bytes > MAX_HEADERS:
            raise too_many(f"this file brings all headers to over {MAX_HEADERS:,} bytes", header.where)


def check_names(header: FileHeader) -> None:
    """See that no tensor's name is longer than a name is.

    Raises:
        CheckpointError: `malformed-header`.
    """
    if header.tensors and len(longest := max(header.tensors, key=len)) > MAX_NAME:
        raise too_many(
            f"a tensor's name has {len(longest):,} characters, {longest[:60]!r}…; the limit is {MAX_NAME}", header.where
        )


def too_many(what: str, where: Where) -> CheckpointError:
    """The error of a file that holds more of something than is read."""
    return CheckpointError(what, where=where, hint=HINT, code="malformed-header")
