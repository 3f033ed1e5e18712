"""Open what `locate` found: every header read and checked, all tensors under their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.candidates import WEIGHT_SUFFIXES
from weightscope.checkpoint.entry import FileHeader, TensorEntry, file_numbers
from weightscope.checkpoint.folder import Expected, Folder, LocalFolder, name_within
from weightscope.checkpoint.header import header_of, numbered, read_header
from weightscope.checkpoint.limits import Taken, check_names
from weightscope.checkpoint.locate import locate, locate_file, locate_in
from weightscope.checkpoint.location import IN_PARTS, Location
from weightscope.checkpoint.sets import SHARD
from weightscope.errors import CheckpointError, RemoteError, WeightscopeError, Where, printable_path
from weightscope.findings import Finding
from weightscope.ranges import summed

if TYPE_CHECKING:
    from weightscope.checkpoint.index import Index
    from weightscope.checkpoint.renaming import Renaming
    from weightscope.checkpoint.together import Plain
    from weightscope.checkpoint.training import Training

Progress = Callable[[int, int, str], None]

# Headers fetched at a time: enough to hide the way to the server, and what servers take from one client.
CONNECTIONS = 32


class Checkpoint(msgspec.Struct, kw_only=True):
    """Everything the files say without a byte of tensor data read.

    `tensors` maps names to entries whose `file` counts into `files`; it is empty for an index or a config alone.
    `whole` tells whether a folder was named, and not one of its files. `renaming` is set where tensors have
    other names here than in the files, `training` where the format itself has the state of a training run, and
    `arguments` where it has what the run's command line said.
    """

    path: Path
    folder: Folder
    location: Location
    files: list[FileHeader]
    tensors: dict[str, TensorEntry]
    findings: list[Finding] = []
    whole: bool = False
    renaming: Renaming | None = None
    training: Training | None = None
    arguments: dict[str, Plain] = {}

    __repr__ = brief

    @property
    def format(self) -> str:
        """safetensors, pytorch, index or config; what the files hold, whatever they are called."""
        return self.files[0].format if self.files else self.location.format

    @property
    def index(self) -> Index | None:
        """The index file's content, where there is one."""
        return self.location.index

    def name_of(self, file: FileHeader) -> str:
        """The file's name as an index spells it: with the folders between it and the one that was opened."""
        return name_within(self.folder.path, file.path) or file.path.name

    def place_of(self, entry: TensorEntry) -> str:
        """The file that a tensor lies in, as a message names it; of several, the first, and how many more."""
        first, *more = file_numbers(entry)
        name = printable_path(self.name_of(self.files[first]))
        return f"{name} and {len(more):,} more" if more else name

    @property
    def complete(self) -> bool:
        """Whether no shard is missing or unreadable: only then does an absent tensor mean anything."""
        incomplete = {"missing-shard", "truncated-file", "malformed-header", "unsafe-pickle"}
        return not any(finding.code in incomplete for finding in self.findings)

    @property
    def names(self) -> AbstractSet[str]:
        """Tensor names: of the files, or where there are none, of the index."""
        if self.format == "index" and self.index:
            return self.index.weight_map.keys()
        return self.tensors.keys()


def open_checkpoint(
    path: Path, *, variant: str | None = None, progress: Progress | None = None, tolerant: bool = False
) -> Checkpoint:
    """Locate and read the headers of a checkpoint here; `progress(done, total, name)` is called before each file.

    A `tolerant` reading goes on without a file that cannot be read, and says so in the findings.

    Raises:
        UsageError, CheckpointError, NotImplementedByWeightscope: one line each, with the file's name.
    """
    try:
        location, whole = locate(path, variant), path.is_dir()
        path = location.within or path
        folder = LocalFolder(path if whole else path.parent)
        return _open(path, folder, location, progress, tolerant=tolerant, whole=whole)
    except OSError as error:
        raise _unreadable(error, path) from None


def open_elsewhere(
    folder: Folder,
    name: str = "",
    *,
    variant: str | None = None,
    progress: Progress | None = None,
    tolerant: bool = False,
) -> Checkpoint:
    """The same of a folder wherever it is, or of the file `name` of it.

    Raises:
        RemoteError: what is needed cannot be had. It is never tolerated: the files are not to blame.
    """
    try:
        location = locate_file(folder, name, variant) if name else locate_in(folder, variant)
        location = msgspec.structs.replace(location, notes=(*location.notes, *_notes(folder, location)))
        return _open(folder.path / name, folder, location, progress, tolerant=tolerant, whole=not name)
    except OSError as error:
        raise _unreadable(error, folder.where) from None


def _unreadable(error: OSError, where: Where) -> WeightscopeError:
    if isinstance(error, FileNotFoundError):
        return CheckpointError("no longer exists", where=error.filename or where, hint="check the path")
    return CheckpointError(
        f"cannot be read ({error.strerror or error})",
        where=error.filename or where,
        hint="check path and permissions",
    )


def _notes(folder: Folder, location: Location) -> Iterator[str]:
    """Where what was read is, and whether all of it is here."""
    yield from folder.notes
    total = len(location.weights) + len(location.missing)
    here = sum(path.is_file() for path in location.weights)
    if 0 < here < total:
        yield f"partly downloaded: {here:,} of {total:,} weight files are in the local cache"


def _open(
    path: Path, folder: Folder, location: Location, progress: Progress | None, *, tolerant: bool, whole: bool
) -> Checkpoint:
    files: list[FileHeader] = []
    tensors: dict[str, TensorEntry] = {}
    findings: list[Finding] = []
    taken = Taken()
    if location.format in IN_PARTS:
        return _together(path, folder, location, whole=whole)
    with _reading(folder, location) as read:
        for number, weights in enumerate(location.weights):
            if progress:
                progress(number, len(location.weights), weights.name)
            try:
                header = read(number)
            except RemoteError:
                raise
            except WeightscopeError as error:
                if not tolerant:
                    raise
                findings.append(Finding.of(error))
                continue
            taken.add(header)
            # Its number was not known yet where an earlier file was left out.
            if len(files) != number:
                numbered(header, len(files))
            findings += _oddities(header, files, tensors)
            files.append(header)
    if location.missing:
        findings.append(_missing(location, folder))
    if location.shards > 1:
        findings.append(_one_of(location))
    return Checkpoint(
        path=path,
        folder=folder,
        location=location,
        files=files,
        tensors=tensors,
        findings=findings,
        whole=whole,
    )


def _together(path: Path, folder: Folder, location: Location, *, whole: bool) -> Checkpoint:
    """A checkpoint whose files only make sense together."""
    from weightscope.checkpoint.together import reader_of

    read = reader_of(location.format)(folder, location.weights)
    taken = Taken()
    for file in read.files:
        check_names(file)
        taken.add(file)
    return Checkpoint(
        path=path,
        folder=folder,
        location=location,
        files=read.files,
        tensors=read.tensors,
        findings=[*([_missing(location, folder)] if location.missing else []), *read.findings],
        whole=whole,
        training=read.training,
        arguments=read.arguments,
    )


def _oddities(header: FileHeader, files: list[FileHeader], tensors: dict[str, TensorEntry]) -> Iterator[Finding]:
    """Take the file's tensors to the others, and say what is strange about that."""
    if WEIGHT_SUFFIXES.get(header.path.suffix, header.format) != header.format:
        yield _misnamed(header)
    if not tensors.keys().isdisjoint(header.tensors):
        twice = sorted(name for name in header.tensors if name in tensors)
        yield _duplicate(twice, header, files[tensors[twice[0]].file])
    tensors.update(header.tensors)


@contextmanager
def _reading(folder: Folder, location: Location) -> Iterator[Callable[[int], FileHeader]]:
    """How to get the header of a weight file by its number: what is elsewhere is read ahead, several at a time."""
    away = {} if isinstance(folder, LocalFolder) else _away(folder, location)
    if not away:
        yield lambda number: read_header(location.weights[number], number)
        return
    from weightscope.checkpoint.background import Background

    counts = location.index.counts() if location.index else {}
    expected = {shard: Expected(*count) for shard, count in counts.items()}
    pool = Background(CONNECTIONS)
    ahead = {number: pool.submit(_read_away, folder, name, number, expected) for number, name in away.items()}
    try:
        yield (
            lambda number: ahead[number].result() if number in ahead else read_header(location.weights[number], number)
        )
    finally:
        pool.cancel()
        folder.close()
        pool.close()


def _away(folder: Folder, location: Location) -> dict[int, str]:
    """The names of the weight files that are not here, by their numbers."""
    names = [name_within(folder.path, path) or path.name for path in location.weights]
    return {number: name for number, name in enumerate(names) if not folder.is_here(name)}


def _read_away(folder: Folder, name: str, number: int, expected: dict[str, Expected]) -> FileHeader:
    data = folder.open(name, expected.get(name))
    header = header_of(data, folder.path / name, number, remote=str(folder.named(name)))
    folder.keep(name, data)
    header.fetch = data.fetch
    return header


def _misnamed(header: FileHeader) -> Finding:
    suffix = next(suffix for suffix, held in WEIGHT_SUFFIXES.items() if held == header.format)
    return Finding(
        code="malformed-header",
        severity="warning",
        message=f"{header.path.name} contains {header.format} data, which does not match its suffix",
        hint=f"loaders use the suffix and fail; rename the file to {header.path.with_suffix(suffix).name}",
    )


def _duplicate(names: list[str], header: FileHeader, before: FileHeader) -> Finding:
    tensors = "1 tensor" if len(names) == 1 else f"{len(names):,} tensors"
    shown = names[0] + (" …" if len(names) > 1 else "")
    return Finding(
        code="duplicate-tensor",
        severity="error",
        message=f"{header.path.name} contains {tensors} that {before.path.name} contains too: {shown}",
        tensors=tuple(summed(names)),
        hint="loaders keep the one that they read last; save the checkpoint again",
    )


def _one_of(location: Location) -> Finding:
    name = location.weights[0].name
    shard = SHARD.fullmatch(name)
    number = int(shard["number"]) if shard else 0
    return Finding(
        code="missing-shard",
        severity="warning",
        message=f"{name} is shard {number:,} of {location.shards:,}: only its own tensors were read",
        hint="give the directory to see the whole model",
    )


def _missing(location: Location, folder: Folder) -> Finding:
    missing = location.missing
    stopped = [name for name in folder.names() if name.endswith(".incomplete")]
    hint = "finish the download; until then only the files here can be shown"
    if stopped:
        hint = f"{stopped[0]} is an unfinished download: {hint}"
    source = f"{location.index.path.name} names" if location.index else "the file names count"
    source = "model_index.json names" if location.format == "pipeline" else source
    total = len(missing) + len(location.weights)
    shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
    return Finding(
        code="missing-shard",
        severity="error",
        message=f"{len(missing):,} of {total:,} shards that {source} are missing: {shown}",
        tensors=(),
        hint=hint,
    )
