"""The header of one weight file, of whichever format its first bytes say it is."""

from __future__ import annotations

import re
from pathlib import Path

from weightscope.checkpoint.entry import FileHeader
from weightscope.checkpoint.limits import check_names
from weightscope.checkpoint.safetensors import SPACE, safetensors_header
from weightscope.checkpoint.slices import Bytes, LocalFile
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

GGUF = b"GGUF"
GIT_LFS = b"version https://git-lfs"
# First bytes of formats that people keep under a weight file's name, what they are, and what to do.
_UNPACK = "unpack it and give the path of the file inside"
_FIND = "find the model that it was converted from"
FOREIGN = {
    b"\x89HDF": ("an HDF5 file (Keras or TensorFlow weights), which weightscope does not read", ""),
    b"\x93NUM": ("a NumPy array, which weightscope does not read", ""),
    b"\x1f\x8b": ("compressed with gzip", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed with Zstandard", _UNPACK),
    b"\xfd7zX": ("compressed with xz", _UNPACK),
    b"BZh": ("compressed with bzip2", _UNPACK),
    b"7z\xbc\xaf": ("a 7-Zip archive", _UNPACK),
    **dict.fromkeys((b"lmgg", b"fmgg", b"tjgg"), ("a GGML file, of a format before GGUF", _FIND)),
}
# A version, then the length and the text of a name: `WhisperSpec`.
CTRANSLATE2 = rb"(?s)[\x01-\x0f]\0\0\0.\0\w+Spec\0"
HTTP = b"HTTP/"
HTML = (b"<!doctype", b"<html")
# As much as tells the formats apart; tar's mark comes last, at 257.
START = 300


def read_header(path: Path, number: int = 0) -> FileHeader:
    """The header of one weight file here; it is file `number`."""
    with LocalFile(path) as data:
        return header_of(data, path, number)


def header_of(data: Bytes, path: Path, number: int = 0, *, remote: str = "") -> FileHeader:
    """The header of a weight file, told by its first bytes rather than by its name."""
    header = _header_of(data, path, number, remote)
    check_names(header)
    return header


def format_of(start: bytes, path: Where) -> str:
    """The format of a file that begins so: safetensors, pytorch, gguf, or empty where nothing tells.

    Raises:
        CheckpointError, NotImplementedByWeightscope: it is something else, which the message names.
    """
    if start.startswith(GGUF):
        return "gguf"
    if start[8:9] == b"{" or start[8:].lstrip(SPACE)[:1] == b"{":
        return "safetensors"
    from weightscope.checkpoint.pytorch import looks_like_pickle, looks_like_pytorch

    if looks_like_pytorch(start) or looks_like_pickle(start):
        return "pytorch"
    _refuse_foreign(start, path)
    return ""


def _header_of(data: Bytes, path: Path, number: int, remote: str) -> FileHeader:
    told = format_of(data[0:START], remote or path)
    if told == "safetensors" or (not told and path.suffix == ".safetensors"):
        return safetensors_header(data, path, number, remote=remote)
    if told == "gguf":
        from weightscope.checkpoint.gguf import gguf_header

        return gguf_header(data, path, number, remote=remote)
    from weightscope.checkpoint.pytorch import pytorch_header, read_pytorch

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
    for magic, (what, hint) in FOREIGN.items():
        if start.startswith(magic):
            raise NotImplementedByWeightscope(what, where=path, hint=hint)
    if re.match(CTRANSLATE2, start):
        raise NotImplementedByWeightscope("a model of CTranslate2 (faster-whisper)", where=path, hint=_FIND)
    if start.lstrip().lower().startswith(HTML):
        raise CheckpointError(
            "an HTML page, not weights",
            where=path,
            hint="the download failed; download it again",
            code="malformed-header",
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
            hint="the download failed; download it again",
            code="malformed-header",
        )
