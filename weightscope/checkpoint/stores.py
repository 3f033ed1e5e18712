"""A directory or file in a store that fsspec has a driver for (s3, gs, abfs, …), as far as the user installed that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from weightscope.checkpoint.folder import Expected
from weightscope.checkpoint.guess import head_of, tail_of
from weightscope.checkpoint.kept import Part, folder_for, keep_part, load_part, write_copy
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.reference import Address
from weightscope.errors import RemoteError, UsageError, Where

T = TypeVar("T")

MAX_SMALL = 200_000_000


class StoreFolder:
    """A directory of a store, or the one that holds the file that was named."""

    notes: tuple[str, ...] = ("in a store: only headers were fetched",)

    def __init__(self, address: Address) -> None:
        self._where = address.shown
        self._store, place = _driver(address)
        info = _told(lambda: self._store.info(place), self._where)
        self.name = "" if info["type"] == "directory" else place.rpartition("/")[2]
        self._place = place if not self.name else place.rpartition("/")[0]
        if self.name:
            self._where = self._where.rpartition("/")[0]
        listed = _told(lambda: self._store.ls(self._place, detail=True), self._where)
        self._files = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in listed}
        self.path = folder_for(f"{address.scheme}://{self._place}")

    @property
    def where(self) -> Where:
        """The directory's address."""
        return self._where

    def named(self, name: str) -> Where:
        """The file's address."""
        return f"{self._where}/{name}"

    def names(self) -> list[str]:
        """What is directly in it."""
        return sorted(name for name in self._files if name)

    def holds(self, name: str) -> bool:
        """Shards may lie in a directory below."""
        if "/" in name:
            return bool(_told(lambda: self._store.isfile(self._at(name)), self.named(name)))
        return name in self._files and self._files[name]["type"] == "file"

    def is_here(self, name: str) -> bool:  # noqa: ARG002 - the answer is the same for all
        """Never: nothing is downloaded from a store."""
        return False

    def fetch(self, name: str) -> Path:
        """A copy of a small file."""
        where, place = self.named(name), self._at(name)
        size = _told(lambda: self._store.info(place), where)["size"] or 0
        if size > MAX_SMALL:
            raise RemoteError(f"has {size:,} bytes, more than is fetched to look at", where=where)
        return write_copy(self.path / name, _told(lambda: self._store.cat_file(place), where), where)

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """The file by ranges, or what is remembered of it."""
        where, place = self.named(name), self._at(name)
        size, mark = _told(lambda: (self._store.info(place)["size"], self._store.ukey(place)), where)
        part = load_part(f"{where} {mark}")

        def get(start: int, stop: int) -> bytes:
            return bytes(_told(lambda: self._store.cat_file(place, start=start, end=stop), where))

        file = RangedFile(
            get,
            size,
            where,
            head=head_of(name, size, expected),
            tail=tail_of(expected),
            spans=part.spans if part and part.size == size else (),
        )
        file.etag = mark
        return file

    def keep(self, name: str, file: RangedFile) -> None:
        """Remember the header by what the store says names the content."""
        if file.fetched:
            keep_part(f"{self.named(name)} {file.etag}", Part(len(file), file.etag, file.spans))

    def close(self) -> None:
        """The driver knows no way to give up."""

    def _at(self, name: str) -> str:
        return f"{self._place}/{name}"


def _driver(address: Address) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError("fsspec is not installed", where=address.shown, hint="install it with the driver") from None
    try:
        store, place = url_to_fs(address.url)
    except ImportError as error:
        raise UsageError(
            f"no driver for {address.scheme} is installed", where=address.shown, hint=str(error) or "see fsspec's list"
        ) from None
    except ValueError as error:
        raise UsageError(f"not an address that can be read ({error})", where=address.shown) from None
    return store, place.rstrip("/")


def _told(call: Callable[[], T], where: Where) -> T:
    """What the driver answers; each has exceptions of its own, and all of them are one line here.

    Raises:
        RemoteError: there is nothing, or it cannot be had.
    """
    try:
        return call()
    except FileNotFoundError:
        raise RemoteError("there is nothing at this address", where=where, hint="check the spelling") from None
    except Exception as error:  # noqa: BLE001 - drivers raise what their makers chose
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RemoteError(
            f"cannot be read ({lines[0]})", where=where, hint="check the address and what you may do there"
        ) from None
