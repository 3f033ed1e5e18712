"""The header of one weight file, of whichever format its first bytes say it is."""

from __future__ import annotations

from pathlib import Path

from weightscope.checkpoint.entry import FileHeader
from weightscope.checkpoint.limits import check_names
from weightscope.checkpoint.safetensors import safetensors_header
from weightscope.checkpoint.slices import Bytes, LocalFile
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

GIT_LFS = b"version https://git-lfs"
# First bytes of formats that people keep under a weight file's name, and what to say of them.
FOREIGN = {
    b"GGUF": "a GGUF file, which weightscope does not read",
    b"\x89HDF": "an HDF5 file (Keras or TensorFlow weights), which weightscope does not read",
}
HTTP = b"HTTP/"
HTML = (b"<!doctype", b"<html")
# As much as tells the formats apart; tar's mark comes last, at 257.
START = 300


def read_header(path: Path, number: int = 0) -> FileHeader:
    """The header of one weight file here; it is file `number`."""
    if path.is_symlink() and not path.exists():
        raise CheckpointError("a link to a file that is not there", where=path, hint="download it again")
    if path.exists() and not path.is_file():
        raise CheckpointError("not a regular file", where=path, hint="is it the file that was meant?")
    with LocalFile(path) as data:
        return header_of(data, path, number)


def header_of(data: Bytes, path: Path, number: int = 0, *, remote: str = "") -> FileHeader:
    """The header of a weight file, told by its first bytes rather than by its name."""
    header = _header_of(data, path, number, remote)
    check_names(header)
    return header


def _header_of(data: Bytes, path: Path, number: int, remote: str) -> FileHeader:
    start = data[0:START]
    if start[8:9] == b"{":
        return safetensors_header(data, path, number, remote=remote)
    from weightscope.checkpoint.pytorch import looks_like_pytorch, pytorch_header, read_pytorch

    is_pytorch = looks_like_pytorch(start)
    if not is_pytorch:
        _refuse_foreign(start, remote or path)
    if not is_pytorch and path.suffix == ".safetensors":
        return safetensors_header(data, path, number, remote=remote)
    return numbered(pytorch_header(data, path, remote=remote) if remote else read_pytorch(path), number)


def numbered(header: FileHeader, number: int) -> FileHeader:
    """The header as that of file `number`."""
    for entry in header.tensors.values():
        entry.file = number
    return header


def _refuse_foreign(start: bytes, path: Where) -> None:
    """Raise for what is often found under a weight file's name and is something else."""
    if not start:
        raise CheckpointError("an empty file", where=path, hint="is the download finished?", code="truncated-file")
    if start.startswith(GIT_LFS):
        raise CheckpointError(
            "a Git LFS pointer, not the weights", where=path, hint="run `git lfs pull`", code="truncated-file"
        )
    if start[:4] in FOREIGN:
        raise NotImplementedByWeightscope(FOREIGN[start[:4]], where=path)
    if start.lstrip().lower().startswith(HTML):
        raise CheckpointError(
            "an HTML page, not weights", where=path, hint="the download failed, repeat it", code="malformed-header"
        )
    if start.startswith(HTTP):
        line = start.splitlines()[0][:40].decode("ascii", "replace")
        raise CheckpointError(
            f"begins with the header lines of an HTTP response ({line!r})",
            where=path,
            hint="the downloader wrote them into the file: download it again with another tool",
            code="malformed-header",
        )
    if len(start) >= 8 and start.isascii() and start.decode().replace("\n", " ").isprintable():
        raise CheckpointError(
            f"text, not weights: it begins with {start.strip()[:40].decode()!r}",
            where=path,
            hint="the download failed, repeat it",
            code="malformed-header",
        )
