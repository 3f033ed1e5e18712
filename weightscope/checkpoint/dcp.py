"""Torch distributed checkpoints (DCP): each rank's blocks of each tensor, put together by `.metadata`.

FSDP's sharded state dicts are saved so too, by torch, accelerate and transformers' Trainer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.dcp_metadata import Described, Metadata, read_metadata
from weightscope.checkpoint.dcp_step import step_of
from weightscope.checkpoint.entry import FileHeader, Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.pickle_machine import DAMAGED, MAX_BYTES
from weightscope.checkpoint.pieces import fill
from weightscope.checkpoint.pytorch_objects import Storage, StoredTensor
from weightscope.checkpoint.pytorch_weights import find_weights, part_in
from weightscope.checkpoint.slices import Bytes, LocalFile
from weightscope.checkpoint.together import Together
from weightscope.checkpoint.training import Part, Training, optimizer_of
from weightscope.errors import CheckpointError, Where
from weightscope.findings import Finding
from weightscope.ranges import summed

METADATA = ".metadata"
RANK = re.compile(r"__(\d{1,9})_\d+\.distcp")


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The tensors of a DCP folder; `paths` are its files.

    Raises:
        CheckpointError: there is no `.metadata`, or it is damaged.
        RemoteError: it is elsewhere, and cannot be had.
        NotImplementedByWeightscope: the blocks were compressed.
    """
    if isinstance(folder, LocalFolder):
        # The folder that was named may be above it.
        folder = LocalFolder(paths[0].parent)
    where = folder.named(METADATA)
    if METADATA not in {path.name for path in paths}:
        raise CheckpointError(
            "holds parts of a distributed checkpoint, and no .metadata, which says what is in them",
            where=folder.where,
            hint="copy it from where the run saved; a save that was interrupted leaves none, and cannot be read",
            code="missing-shard",
        )
    metadata = read_metadata(_content(folder), where)
    weights, parts = _weights(metadata, where)
    files, missing = _files(folder, metadata)
    numbers = {file.path.name: number for number, file in enumerate(files)}
    sizes = {file.path.name: file.bytes for file in files}
    tensors: dict[str, TensorEntry] = {}
    broken: dict[str, list[str]] = {}
    for name, full in weights.items():
        described = metadata.tensors[full]
        if what := _broken(described, sizes):
            broken.setdefault(what, []).append(name)
            continue
        tensors[name] = _entry(described, numbers)
    findings = [*_missing(missing, files), *_short(metadata, sizes)]
    findings += [_unreadable(what, lost) for what, lost in broken.items()]
    training = Training(
        writer="torch.distributed.checkpoint",
        step=step_of(metadata, folder.path),
        world_size=_ranks(metadata),
        optimizer=optimizer_of(parts),
        parts=parts,
    )
    return Together(files=files, tensors=tensors, findings=findings, training=training)


def _content(folder: Folder) -> bytes:
    if folder.is_here(METADATA):
        with LocalFile(folder.path / METADATA) as data:
            return _whole(data, folder)
    # As a header it is not put where a download would be: the cache would seem to have the model.
    fetched = folder.open(METADATA, None)
    content = _whole(fetched, folder)
    folder.keep(METADATA, fetched)
    return content


def _whole(data: Bytes, folder: Folder) -> bytes:
    if len(data) > MAX_BYTES:
        raise CheckpointError(
            f"has {len(data):,} bytes; the limit is {MAX_BYTES:,}",
            where=folder.named(METADATA),
            hint=DAMAGED,
            code="malformed-header",
        )
    return data[0 : len(data)]


def state_beside(folder: Path) -> tuple[Part, ...]:
    """What a distributed checkpoint of its own holds beside a model: FSDP's of the optimizer.

    Raises:
        CheckpointError: its `.metadata` is damaged.
        NotImplementedByWeightscope: the blocks were compressed.
    """
    beside = LocalFolder(folder)
    where = beside.named(METADATA)
    top = _nested(read_metadata(_content(beside), where), where)
    return tuple(part_in(str(key), value, "optimizer") for key, value in top.items())


def _weights(metadata: Metadata, where: Where) -> tuple[dict[str, str], tuple[Part, ...]]:
    """The model's tensors, by their names in it, and what else was saved: told as in any file of a training run."""
    found, rest = find_weights(_nested(metadata, where), where)
    return {name: tensor.storage.key for name, tensor in found.items()}, tuple(rest.values())


def _nested(metadata: Metadata, where: Where) -> dict[object, object]:
    """The state that was saved, as it was nested, with its tensors."""
    top: dict[object, object] = {}
    for name, described in metadata.tensors.items():
        path = metadata.paths.get(name) or tuple(name.split("."))
        inner = top
        for key in path[:-1]:
            within = inner.setdefault(key, {})
            if not isinstance(within, dict):
                raise CheckpointError(
                    f"keeps {name[:200]!r} within a tensor", where=where, hint=DAMAGED, code="malformed-header"
                )
            inner = within
        inner[path[-1]] = StoredTensor(
            storage=Storage(key=name, dtype=described.dtype, bytes=0),
            dtype=described.dtype,
            offset=0,
            shape=described.shape,
            strides=(),
        )
    return top


def _files(folder: Folder, metadata: Metadata) -> tuple[list[FileHeader], list[str]]:
    """The files that hold blocks, and the names of those that are not there.

    Raises:
        CheckpointError: `unsafe-path`; a name leads out of the folder.
    """
    spans = (span for described in metadata.tensors.values() for span in described.spans if span)
    files, missing = [], []
    for name in sorted({span.file for span in spans}):
        if not is_path(name):
            raise CheckpointError(
                f"its .metadata names a file outside the folder: {name[:200]!r}",
                where=folder.where,
                hint=DAMAGED,
                code="unsafe-path",
            )
        if folder.holds(name):
            files.append(_file(folder, name))
        else:
            missing.append(name)
    return files, missing


def _file(folder: Folder, name: str) -> FileHeader:
    path = folder.path / name
    if folder.is_here(name):
        return FileHeader(path=path, format="dcp", bytes=path.stat().st_size, data_start=0, tensors={})
    data, remote = folder.open(name, None), str(folder.named(name))
    return FileHeader(
        path=path, format="dcp", bytes=len(data), data_start=0, tensors={}, remote=remote, fetch=data.fetch
    )


def _broken(described: Described, sizes: dict[str, int]) -> str:
    """Why a tensor cannot be read; empty if it can, or if its file is missing, which is said once."""
    for span in described.spans:
        if span is None:
            return "lack a block: .metadata does not say where it lies"
        if span.file not in sizes:
            return "lie in files that are not here"
        if span.start + span.length > sizes[span.file]:
            return f"lie beyond the end of {span.file}"
    return "" if fill(described.shape, _pieces(described, {})) else "are not filled by their blocks"


def _pieces(described: Described, numbers: dict[str, int]) -> Iterator[Piece]:
    for (start, shape), span in zip(described.blocks, described.spans, strict=True):
        if span:
            place = span.start, span.start + span.length
            yield Piece(start or (0,), shape or (1,), numbers.get(span.file, 0), place, None, saved=True)


def _entry(described: Described, numbers: dict[str, int]) -> PiecedEntry:
    return PiecedEntry.of(described.dtype, described.shape, tuple(_pieces(described, numbers)))


def _ranks(metadata: Metadata) -> int | None:
    """How many ranks wrote: their numbers are in the files' names."""
    names = {span.file for described in metadata.tensors.values() for span in described.spans if span}
    numbers = [int(match[1]) for name in names if (match := RANK.fullmatch(name))]
    return max(numbers) + 1 if numbers and len(numbers) == len(names) else None


def _missing(missing: list[str], files: list[FileHeader]) -> Iterator[Finding]:
    if missing:
        total = len(missing) + len(files)
        shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        yield Finding(
            code="missing-shard",
            severity="error",
            message=f"{len(missing):,} of {total:,} files that .metadata names are missing: {shown}",
            hint="each rank wrote its own: copy those of all machines into this folder",
        )


def _short(metadata: Metadata, sizes: dict[str, int]) -> Iterator[Finding]:
    """Files that end before what they are said to hold, whether that is a weight or not."""
    ends: dict[str, int] = {}
    for described in metadata.tensors.values():
        for span in described.spans:
            if span:
                ends[span.file] = max(ends.get(span.file, 0), span.start + span.length)
    for name, size in sizes.items():
        if size < ends[name]:
            yield Finding(
                code="truncated-file",
                severity="error",
                message=f"{name} ends {ends[name] - size:,} bytes before what .metadata says is in it",
                hint="copy it again from where the run saved",
            )


def _unreadable(what: str, names: list[str]) -> Finding:
    titles = summed(names)
    count = "1 tensor" if len(names) == 1 else f"{len(names):,} tensors"
    return Finding(
        code="malformed-header",
        severity="error",
        message=f"{count} {what}: {titles[0]}{' …' if len(titles) > 1 else ''}",
        tensors=tuple(titles),
        hint="they are left out; copy the folder again, or take an earlier save",
    )
