"""Let a model's values be read over the network: what that takes, and whether somebody agreed to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import DOWNLOAD, require_here
from weightscope.checkpoint.streamed import SMALL_BLOCK, Blocks, Streamed, agreeable
from weightscope.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from weightscope.checkpoint.reader import Checkpoint

# Formats that can be read from elsewhere.
FORMATS = ("safetensors", "gguf", "pytorch", "dcp")


def bytes_elsewhere(checkpoint: Checkpoint) -> int:
    """The bytes of values in files that are elsewhere."""
    return sum(file.bytes - file.data_start for file in checkpoint.files if file.remote)


def is_streamed(checkpoint: Checkpoint) -> bool:
    """Whether some of its values are read over the network."""
    return any(file.streamed for file in checkpoint.files)


def stream(checkpoint: Checkpoint, most: int, needed: int | None = None) -> None:
    """Let the values of files that are elsewhere be read over the network: at most so many bytes, and none is stored.

    All of them are `needed` unless it says how many bytes are.

    Raises:
        CheckpointError: values of such a format cannot be read that way.
        UsageError: it takes more.
    """
    away = [file for file in checkpoint.files if file.remote]
    for file in away:
        if file.format not in FORMATS:
            what = f"values of {file.format} files cannot be read over the network"
            raise CheckpointError(what, where=file.remote, hint=DOWNLOAD)
    size = bytes_elsewhere(checkpoint) if needed is None else needed
    if size > most:
        raise UsageError(
            f"the values take {size:,} bytes, more than the {most:,} that were agreed to",
            where=checkpoint.folder.where,
            hint=f"agree to more: --stream {agreeable(size)}",
        )
    blocks = Blocks(most)
    for file in away:
        if file.fetch:
            span = file.data_start, file.bytes
            file.streamed = Streamed(file.remote, file.fetch, blocks, span=span, beginnings=file.beginnings)


def sampled(checkpoint: Checkpoint) -> Checkpoint:
    """The same, with files elsewhere fetched in small blocks."""
    files = [replace(file, streamed=file.streamed.sampled()) if file.streamed else file for file in checkpoint.files]
    return replace(checkpoint, files=files)


def bytes_of_sample(checkpoint: Checkpoint, values: int, places: int) -> int:
    """The most bytes that it takes to look at so many values of each tensor, at so many places."""
    sizes = (
        min(stop - start, values * DTYPE_BITS[entry.dtype] // 8 + places * 2 * SMALL_BLOCK)
        for entry in checkpoint.tensors.values()
        for start, stop in (entry.data_offsets,)
        if checkpoint.files[entry.file].remote
    )
    return sum(sizes) + 2 * SMALL_BLOCK * len(checkpoint.files)


def whole_file(checkpoint: Checkpoint, name: str) -> Iterator[memoryview]:
    """All bytes of a file of a checkpoint's folder that is elsewhere, a weight file or one beside them.

    Raises:
        CheckpointError: nobody agreed to read it.
        RemoteError: it cannot be had, or takes more bytes than were agreed to.
    """
    folder = checkpoint.folder
    streamed = {checkpoint.name_of(file): file.streamed for file in checkpoint.files if file.streamed}
    file = streamed.get(name)
    if file is None:
        if not streamed:
            require_here(str(folder.named(name)))
        data = folder.open(name, None)
        file = next(iter(streamed.values())).beside(str(folder.named(name)), len(data), data.fetch)
    at = 0
    while data_at := file.block_at(at):
        yield data_at
        at += len(data_at)
