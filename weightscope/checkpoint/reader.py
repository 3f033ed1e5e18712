"""Open what `locate` found: every header read and checked, all tensors under their names."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.index import Index
from weightscope.checkpoint.locate import WEIGHT_SUFFIXES, Location, locate
from weightscope.checkpoint.safetensors import read_safetensors
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError
from weightscope.findings import Finding

Progress = Callable[[int, int, str], None]

GIT_LFS = b"version https://git-lfs"
# First bytes of formats that people keep under a weight file's name, and what to say of them.
FOREIGN = {
    b"GGUF": "a GGUF file, which weightscope does not read",
    b"\x89HDF": "an HDF5 file (Keras or TensorFlow weights), which weightscope does not read",
}
HTML = (b"<!doctype", b"<html")
# As much as tells the formats apart; tar's mark comes last, at 257.
START = 300


class Checkpoint(msgspec.Struct, kw_only=True):
    """Everything the files say without a byte of tensor data read.

    `tensors` maps names to entries whose `file` counts into `files`; it is empty for an index or a config alone.
    """

    path: Path
    location: Location
    files: list[FileHeader]
    tensors: dict[str, TensorEntry]
    findings: list[Finding] = []

    @property
    def format(self) -> str:
        """safetensors, pytorch, index or config; what the files hold, whatever they are called."""
        return self.files[0].format if self.files else self.location.format

    @property
    def index(self) -> Index | None:
        """The index file's content, where there is one."""
        return self.location.index

    @property
    def names(self) -> AbstractSet[str]:
        """Tensor names: of the files, or where there are none, of the index."""
        if self.format == "index" and self.index:
            return self.index.weight_map.keys()
        return self.tensors.keys()


def open_checkpoint(
    path: Path, *, variant: str | None = None, progress: Progress | None = None, tolerant: bool = False
) -> Checkpoint:
    """Locate and read the headers of a checkpoint; `progress(done, total, name)` is called before each file.

    A `tolerant` reading goes on without a file that cannot be read, and says so in the findings.

    Raises:
        UsageError, CheckpointError, NotImplementedByWeightscope: one line each, with the file's name.
    """
    try:
        return _open(path, variant, progress, tolerant=tolerant)
    except FileNotFoundError as error:
        raise CheckpointError("is gone", where=error.filename or path, hint="check the path") from None
    except OSError as error:
        raise CheckpointError(
            f"cannot be read ({error.strerror or error})",
            where=error.filename or path,
            hint="check path and permissions",
        ) from None


def _open(path: Path, variant: str | None, progress: Progress | None, *, tolerant: bool) -> Checkpoint:
    location = locate(path, variant)
    files: list[FileHeader] = []
    tensors: dict[str, TensorEntry] = {}
    findings: list[Finding] = []
    for number, weights in enumerate(location.weights):
        if progress:
            progress(number, len(location.weights), weights.name)
        try:
            header = read_header(weights, len(files))
        except WeightscopeError as error:
            if not tolerant:
                raise
            findings.append(Finding.of(error))
            continue
        if WEIGHT_SUFFIXES.get(weights.suffix, header.format) != header.format:
            findings.append(_misnamed(header))
        before = len(tensors)
        tensors.update(header.tensors)
        if len(tensors) < before + len(header.tensors):
            twice = sorted(name for name in header.tensors if any(name in file.tensors for file in files))
            findings.append(_duplicate(twice, header, files))
        files.append(header)
    if location.missing:
        findings.append(_missing(location))
    return Checkpoint(
        path=path,
        location=location,
        files=files,
        tensors=tensors,
        findings=findings,
    )


def read_header(path: Path, number: int = 0) -> FileHeader:
    """The header of one weight file, told by its first bytes rather than by its name; it is file `number`."""
    if path.is_symlink() and not path.exists():
        raise CheckpointError("a link to a file that is not there", where=path, hint="download it again")
    if path.exists() and not path.is_file():
        raise CheckpointError("not a regular file", where=path, hint="is it the file that was meant?")
    with path.open("rb", buffering=0) as file:
        start = file.read(START)
    if start[8:9] == b"{":
        return read_safetensors(path, number)
    from weightscope.checkpoint.pytorch import looks_like_pytorch, read_pytorch

    if looks_like_pytorch(start):
        return _numbered(read_pytorch(path), number)
    _refuse_foreign(start, path)
    return read_safetensors(path, number) if path.suffix == ".safetensors" else _numbered(read_pytorch(path), number)


def _numbered(header: FileHeader, number: int) -> FileHeader:
    for entry in header.tensors.values():
        entry.file = number
    return header


def _refuse_foreign(start: bytes, path: Path) -> None:
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
    if len(start) >= 8 and start.isascii() and start.decode().replace("\n", " ").isprintable():
        raise CheckpointError(
            f"text, not weights: it begins with {start.strip()[:40].decode()!r}",
            where=path,
            hint="the download failed, repeat it",
            code="malformed-header",
        )


def _misnamed(header: FileHeader) -> Finding:
    suffix = next(suffix for suffix, held in WEIGHT_SUFFIXES.items() if held == header.format)
    return Finding(
        code="malformed-header",
        severity="warning",
        message=f"{header.path.name} holds {header.format}, which its suffix does not say",
        hint=f"loaders go by the suffix and fail; rename it to {header.path.with_suffix(suffix).name}",
    )


def _duplicate(names: list[str], header: FileHeader, before: list[FileHeader]) -> Finding:
    others = [file.path.name for file in before if names[0] in file.tensors]
    tensors = "1 tensor" if len(names) == 1 else f"{len(names):,} tensors"
    shown = names[0] + (" …" if len(names) > 1 else "")
    return Finding(
        code="duplicate-tensor",
        severity="error",
        message=f"{header.path.name} repeats {tensors} that {others[0]} holds: {shown}",
        tensors=tuple(names[:20]),
        hint="a loader keeps whichever it reads last; re-save the checkpoint",
    )


def _missing(location: Location) -> Finding:
    missing = location.missing
    source = f"{location.index.path.name} names" if location.index else "the file names count"
    total = len(missing) + len(location.weights)
    shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
    return Finding(
        code="missing-shard",
        severity="error",
        message=f"{len(missing):,} of {total:,} shards that {source} are not here: {shown}",
        tensors=(),
        hint="finish the download; until then, only what is here can be shown",
    )
