"""Where a model's files lie beside each other: a directory here, or a repository, bucket or address elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from weightscope.errors import CheckpointError, Where

if TYPE_CHECKING:
    from weightscope.checkpoint.ranged import RangedFile

MAX_FILES = 100_000


class Expected(msgspec.Struct, frozen=True):
    """What an index tells of a shard before it is read: how many tensors, and the characters of all their names."""

    tensors: int
    characters: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a folder: its size, and its SHA-256 where that is known without reading it."""

    bytes: int
    sha256: str = ""


def name_within(folder: Path, path: Path) -> str | None:
    """A path as an index spells it, with the folders between it and the folder; None where it lies outside."""
    above, whole = os.fspath(folder), os.fspath(path)
    if above == ".":
        return None if path.is_absolute() else path.as_posix()
    start = above if above.endswith(os.sep) else above + os.sep
    return whole[len(start) :].replace(os.sep, "/") if whole.startswith(start) else None


def is_hidden(name: str) -> bool:
    """Whether a file's name, or that of a folder above it, begins with a dot."""
    return name.startswith(".") or "/." in name


class Folder(Protocol):
    """The files of a model, by name; small ones can be had as files here, of the others the header is read."""

    path: Path
    notes: tuple[str, ...]

    @property
    def where(self) -> Where:
        """How a message names the folder."""
        ...

    def named(self, name: str) -> Where:
        """How a message names one of its files."""
        ...

    def names(self) -> list[str]:
        """What is directly in it, sorted."""
        ...

    def listed(self) -> dict[str, Listed]:
        """All files in it and below it, by names with the folders between; hidden ones are left out.

        Raises:
            CheckpointError: there are too many.
            RemoteError: they cannot be listed.
        """
        ...

    def holds(self, name: str) -> bool:
        """Whether there is such a file, here or elsewhere."""
        ...

    def is_here(self, name: str) -> bool:
        """Whether the file itself is here, at `path / name`."""
        ...

    def fetch(self, name: str) -> Path:
        """A small file, as a file here.

        Raises:
            RemoteError: it cannot be had.
        """
        ...

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """A file that is not here, to read its header from."""
        ...

    def keep(self, name: str, file: RangedFile) -> None:
        """Remember what was fetched of a file, now that it proved to be a header."""
        ...

    def close(self) -> None:
        """Give up what is still under way."""
        ...


class LocalFolder:
    """A directory here."""

    def __init__(self, path: Path, notes: tuple[str, ...] = ()) -> None:
        self.path = path
        self.notes = notes
        self._plain: frozenset[str] = frozenset()
        self._names: list[str] = []

    def __repr__(self) -> str:
        return f"LocalFolder({str(self.where)!r})"

    @property
    def where(self) -> Where:
        """The directory."""
        return self.path

    def named(self, name: str) -> Where:
        """The path."""
        return self.path / name

    def names(self) -> list[str]:
        """Files and directories alike, as they were when they were first asked for."""
        if not self._names:
            with os.scandir(self.path) as entries:
                listed = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
            self._plain = frozenset(name for name, is_file in listed.items() if is_file)
            self._names = sorted(listed)
        return self._names

    def listed(self) -> dict[str, Listed]:
        """What a link to a folder leads to is left out."""
        found: dict[str, Listed] = {}
        for above, folders, names in os.walk(self.path):
            folders[:] = [name for name in folders if not is_hidden(name)]
            for path in (Path(above, name) for name in names):
                name = path.relative_to(self.path).as_posix()
                if not is_hidden(name) and path.is_file():
                    found[name] = Listed(bytes=path.stat().st_size)
            if len(found) > MAX_FILES:
                raise CheckpointError(
                    f"more than {MAX_FILES:,} files", where=self.path, hint="give a folder of the model alone"
                )
        return found

    def holds(self, name: str) -> bool:
        """A link to nothing is not held."""
        # The listing tells which are plain files; of what is none, the system is asked where a link leads.
        return name in self._plain or (self.path / name).is_file()

    def is_here(self, name: str) -> bool:  # noqa: ARG002 - the answer is the same for all
        """All that is in it."""
        return True

    def fetch(self, name: str) -> Path:
        """The path; nothing needs to be done."""
        return self.path / name

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """Never asked for: files here are read as files."""
        raise NotImplementedError

    def keep(self, name: str, file: RangedFile) -> None:
        """Nothing was fetched."""

    def close(self) -> None:
        """Nothing is under way."""
