"""One named tensor in one file, and what a file's header says: the words every reader answers in."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.errors import CheckpointError, Where

if TYPE_CHECKING:
    from weightscope.checkpoint.gguf_metadata import Metadata
    from weightscope.checkpoint.streamed import Beginnings, Fetch, Streamed
    from weightscope.checkpoint.training import Part, Training

Count = Annotated[int, msgspec.Meta(ge=0)]
DOWNLOAD = "download the model first: `hf download`, weightscope.download in Python, `forward --download`"


class TensorEntry(msgspec.Struct, gc=False):
    """Where one tensor lies and what it is; the JSON of a safetensors header decodes straight into it.

    `data_offsets` are bytes relative to the data section of file number `file`. `strides`, in elements, are
    given only where a PyTorch file stores a view that is not contiguous.
    """

    dtype: str
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]
    strides: tuple[Count, ...] | None = None
    file: int = 0


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A block of a tensor, and the bytes of one file that hold it, row by row unless `strides` say otherwise.

    `start` is the block's first element and `shape` its size, a number a dimension. With one number each, the block
    is a run of the flattened tensor, as a scalar is. A `saved` block is a torch.save archive of its own, opened when
    it is read.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    file: int
    data_offsets: tuple[int, int]
    strides: tuple[int, ...] | None = None
    saved: bool = False


class PiecedEntry(TensorEntry):
    """A tensor whose values lie in several places: what one rank of many wrote, or one file of a split matrix.

    `file` is that of the first piece; `data_offsets` only give the bytes of all pieces together, from 0.
    """

    pieces: tuple[Piece, ...] = ()

    @classmethod
    def of(cls, dtype: str, shape: tuple[int, ...], pieces: tuple[Piece, ...]) -> PiecedEntry:
        """The tensor that these pieces fill."""
        size = prod(shape) * DTYPE_BITS[dtype] // 8
        return cls(dtype, shape, (0, size), None, pieces[0].file if pieces else 0, pieces=pieces)


def file_numbers(entry: TensorEntry) -> list[int]:
    """The numbers of the files that a tensor lies in, each once."""
    return list(dict.fromkeys(piece.file for piece in entry.pieces)) if isinstance(entry, PiecedEntry) else [entry.file]


class FileHeader(msgspec.Struct, kw_only=True):
    """What one weight file says of itself without its data: `tensors` by name, in file order.

    `data_start` is the byte at which offsets count from, `bytes` the file's whole size. `rest` is what a
    training checkpoint keeps beside its weights (optimizer state and the like), by top-level key;
    `training` is what the file says of its run. `remote`
    names a file that is not here: only its header is, and `path` is where its data would lie once downloaded. `notes`
    say what is unusual about the file, each as the rest of a sentence that begins with its name. `described` is what a
    GGUF file says of the model. `fetch` gets bytes of a file that is elsewhere, `beginnings` tell where
    the storages of a PyTorch file elsewhere begin; `streamed` is set once its values may be read that way.
    """

    path: Path
    format: str
    bytes: int
    data_start: int
    tensors: dict[str, TensorEntry]
    metadata: dict[str, str] = {}
    rest: dict[str, Part] = {}
    training: Training | None = None
    remote: str = ""
    notes: tuple[str, ...] = ()
    described: Metadata | None = None
    fetch: Fetch | None = None
    beginnings: Beginnings | None = None
    streamed: Streamed | None = None

    __repr__ = brief

    @property
    def source(self) -> Path | Streamed:
        """Where its values are read."""
        return self.streamed or self.path

    @property
    def out_of_reach(self) -> str:
        """How a message names it where its values cannot be read; else empty."""
        return "" if self.streamed else self.remote

    @property
    def where(self) -> Where:
        """How a message names the file."""
        return self.remote or self.path


def require_here(*remote: str) -> None:
    """Raise if one of the files is elsewhere: each is given by its `remote`.

    Raises:
        CheckpointError: it names the file, and how to have it here.
    """
    for where in filter(None, remote):
        raise CheckpointError("only the header was fetched, not its values", where=where, hint=DOWNLOAD)
