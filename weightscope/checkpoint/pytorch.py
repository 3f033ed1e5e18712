"""Read the header of a PyTorch file, zip or older, without torch and without running what its pickle names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from weightscope.checkpoint.entry import FileHeader
from weightscope.checkpoint.pickle_machine import malformed
from weightscope.checkpoint.pytorch_begins import beginnings_of
from weightscope.checkpoint.pytorch_legacy import MAGIC, open_legacy
from weightscope.checkpoint.pytorch_objects import Saved, StoredTensor, place
from weightscope.checkpoint.pytorch_older import is_unset
from weightscope.checkpoint.pytorch_weights import LONE, find_weights
from weightscope.checkpoint.pytorch_zip import open_zip
from weightscope.checkpoint.slices import Bytes, LocalFile
from weightscope.checkpoint.training import told_by
from weightscope.errors import CheckpointError, Where

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
TAR, TAR_AT = b"ustar", 257
PICKLE = b"\x80"
# The magic number as binary and as text protocols spell it; framing may come before the binary one.
MAGIC_BINARY, MAGIC_WITHIN = MAGIC.to_bytes(10, "little"), 32
MAGIC_TEXT = f"L{MAGIC}".encode()
# How a pickle begins: protocol 2 or newer; a global and what may follow it; a container of protocol 1, of protocol 0.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]"
    rb"|\(*[ci][\w.]+\n[\w.]+\n(?:p\d+\n|q[^\w]|[()}\]N.])"
    rb"|[\]})](?:q\x00|[(.])"
    rb"|\(+[dl](?:p\d+\n|[.(SVIFLNa])"
    rb"|\(+(?:S'[^\n]*'|[IL]-?\d+L?|V[^\n]*\np\d+)\n"
)


def looks_like_pytorch(first_bytes: bytes) -> bool:
    """Whether a file that begins so may be one of torch.save's; 300 bytes tell all that can be told."""
    return (
        first_bytes.startswith((*ZIP, MAGIC_TEXT))
        or (first_bytes.startswith(PICKLE) and MAGIC_BINARY in first_bytes[:MAGIC_WITHIN])
        or _is_tar(first_bytes)
    )


def looks_like_pickle(first_bytes: bytes) -> bool:
    """Whether a file that begins so is a pickle of any protocol, whoever wrote it."""
    return _PICKLE.match(first_bytes) is not None


def read_pytorch(path: Path) -> FileHeader:
    """Where the tensors of a PyTorch file lie; offsets count from the file's start.

    Raises:
        CheckpointError: `truncated-file`, `malformed-header`, `duplicate-tensor` or `unsafe-pickle`.
        NotImplementedByWeightscope: TorchScript, the tar format, big-endian, quantized, sparse and nested tensors.
    """
    with LocalFile(path) as data:
        return pytorch_header(data, path)


def pytorch_header(data: Bytes, path: Path, *, remote: str = "") -> FileHeader:
    """The same of bytes wherever they lie; `remote` names a file that is not here."""
    where = remote or path
    saved = saved_in(data, where)
    tensors, rest = find_weights(saved.top, where, saved.passed_over)
    if any(is_unset(tensor) for tensor in tensors.values()):
        malformed("holds a tensor without its values", where)
    blocks = saved.blocks(dict.fromkeys(tensor.storage.key for tensor in tensors.values()))
    return FileHeader(
        path=path,
        format="pytorch",
        bytes=len(data),
        data_start=0,
        tensors={name: place(name, tensor, blocks[tensor.storage.key], where) for name, tensor in tensors.items()},
        rest=rest,
        training=told_by(saved.top, rest.values()) if isinstance(saved.top, dict) else None,
        remote=remote,
        notes=tuple(_notes(saved)),
        beginnings=beginnings_of(saved, blocks) if remote else None,
    )


def saved_in(data: Bytes, where: Where) -> Saved:
    """The object that a file holds, and where its storages lie.

    Raises:
        CheckpointError, NotImplementedByWeightscope: as `read_pytorch`.
    """
    return _opener(data[0:512], where)(data, where)


def _notes(saved: Saved) -> Iterator[str]:
    if isinstance(saved.top, StoredTensor):
        yield f"holds one tensor without a name; here it is called {LONE!r}"
    if saved.passed_over:
        what = ", ".join(f"{kind}{place}" for kind, place in saved.passed_over.items())
        yield f"also holds {what}, which weightscope ignores"


def _opener(first_bytes: bytes, path: Where) -> Callable[[Bytes, Where], Saved]:
    if not first_bytes:
        raise CheckpointError("is empty", where=path, hint="download or save it again", code="truncated-file")
    if _is_tar(first_bytes):
        from weightscope.checkpoint.pytorch_tar import open_tar

        return open_tar
    if first_bytes.startswith(ZIP):
        return open_zip
    if first_bytes.startswith((PICKLE, MAGIC_TEXT)) or looks_like_pickle(first_bytes):
        return open_legacy
    raise CheckpointError(
        f"was not written by torch.save: it begins with {first_bytes[:8]!r}",
        where=path,
        hint="check that this is the file you meant",
        code="malformed-header",
    )


def _is_tar(first_bytes: bytes) -> bool:
    return first_bytes[TAR_AT : TAR_AT + len(TAR)] == TAR
