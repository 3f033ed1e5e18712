"""A directory or file in a store that fsspec has a driver for (s3, gs, abfs, …), as far as the user installed that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from weightscope.checkpoint.background import within
from weightscope.checkpoint.claims import MAX_SIZE, is_path
from weightscope.checkpoint.exchange import LEAST_RATE, SECONDS
from weightscope.checkpoint.folder import Expected, Listed, is_hidden
from weightscope.checkpoint.guess import head_of, tail_of
from weightscope.checkpoint.header_cache import Part, folder_for, keep_part, load_part, write_copy
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.reference import Address
from weightscope.errors import RemoteError, UsageError, WeightscopeError, Where

T = TypeVar("T")

MAX_SMALL = 200_000_000


class StoreFolder:
    """A directory of a store, or the one that holds the file that was named."""

    notes: tuple[str, ...] = ("in a remote store: only headers were fetched",)

    def __init__(self, address: Address) -> None:
        self._where = address.shown
        self._store, place = _driver(address)
        kind = _told(lambda: str(self._store.info(place)["type"]), self._where)
        self.name = "" if kind == "directory" else place.rpartition("/")[2]
        self._place = place if not self.name else place.rpartition("/")[0]
        if self.name:
            self._where = self._where.rpartition("/")[0]
        self._files = _told(lambda: dict(_entries(self._store.ls(self._place, detail=True))), self._where)
        self.path = folder_for(f"{address.scheme}://{self._place}")

    def __repr__(self) -> str:
        return f"StoreFolder({str(self.where)!r})"

    @property
    def where(self) -> Where:
        """The directory's address."""
        return self._where

    def named(self, name: str) -> Where:
        """The file's address."""
        return f"{self._where}/{name}"

    def names(self) -> list[str]:
        """What is directly in it."""
        return sorted(self._files)

    def listed(self) -> dict[str, Listed]:
        """As the store lists them."""
        found = _told(lambda: self._store.find(self._place, detail=True), self._where)
        named = {place.removeprefix(f"{self._place}/"): info for place, info in found.items()}
        return {
            name: Listed(bytes=int(info["size"]))
            for name, info in named.items()
            if is_path(name) and not is_hidden(name)
        }

    def holds(self, name: str) -> bool:
        """Shards may lie in a directory below."""
        if "/" in name:
            return bool(_told(lambda: self._store.isfile(self._at(name)), self.named(name)))
        return self._files.get(name) == "file"

    def is_here(self, name: str) -> bool:  # noqa: ARG002 - the answer is the same for all
        """Never: nothing is downloaded from a store."""
        return False

    def fetch(self, name: str) -> Path:
        """A copy of a small file."""
        where, place = self.named(name), self._at(name)
        size, _ = self._state(place, where)
        if size > MAX_SMALL:
            raise RemoteError(f"has {size:,} bytes, too many to fetch", where=where)
        return write_copy(self.path / name, self._bytes(place, 0, size, where), where)

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """The file by ranges, or what is remembered of it."""
        where, place = self.named(name), self._at(name)
        size, mark = self._state(place, where)
        part = load_part(f"{where} {mark}")
        file = RangedFile(
            lambda start, stop: self._bytes(place, start, stop, where),
            size,
            where,
            head=head_of(name, size, expected),
            tail=tail_of(expected),
            spans=part.spans if part and part.size == size else (),
        )
        file.etag = mark
        return file

    def keep(self, name: str, file: RangedFile) -> None:
        """Remember the header by what the store says names the content, if that is still the same."""
        if file.fetched:
            where = self.named(name)
            if self._state(self._at(name), where) != (len(file), file.etag):
                raise RemoteError("the file changed while it was read", where=where, hint="try again")
            keep_part(f"{where} {file.etag}", Part(len(file), file.etag, file.spans))

    def close(self) -> None:
        """The driver knows no way to give up."""

    def _at(self, name: str) -> str:
        return f"{self._place}/{name}"

    def _state(self, place: str, where: Where) -> tuple[int, str]:
        """A file's size, and what the store says names its content."""
        size, mark = _told(lambda: (self._store.info(place)["size"], str(self._store.ukey(place))), where)
        if not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
            raise RemoteError("the store does not report the file's size", where=where, hint="download the file")
        return size, mark

    def _bytes(self, place: str, start: int, stop: int, where: Where) -> bytes:
        seconds = SECONDS + (stop - start) / LEAST_RATE
        return _told(lambda: bytes(self._store.cat_file(place, start=start, end=stop)), where, seconds)


def _entries(listed: Any) -> Iterator[tuple[str, str]]:
    """Names and kinds, of names that can be paths here."""
    for entry in listed:
        name = entry["name"].rstrip("/").rpartition("/")[2]
        if is_path(name):
            yield name, str(entry["type"])


def _driver(address: Address) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError("fsspec is not installed", where=address.shown, hint="install it with the driver") from None
    try:
        store, place = url_to_fs(address.url)
    except ImportError as error:
        raise UsageError(
            f"no driver for {address.scheme} is installed",
            where=address.shown,
            hint=str(error) or "see the documentation of fsspec",
        ) from None
    except Exception as error:  # noqa: BLE001 - each driver has its own for an address that it cannot take
        raise UsageError(f"not an address that can be read ({error})", where=address.shown) from None
    return store, place.rstrip("/")


def _told(call: Callable[[], T], where: Where, seconds: float | None = None) -> T:
    """What the driver answers in time; each has exceptions of its own, and all of them are one line here.

    Raises:
        RemoteError: there is nothing, or it cannot be had.
    """
    try:
        return within(SECONDS if seconds is None else seconds, call, where)
    except WeightscopeError:
        raise
    except FileNotFoundError:
        raise RemoteError("nothing was found at this address", where=where, hint="check the spelling") from None
    except Exception as error:  # noqa: BLE001 - drivers raise what their makers chose
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RemoteError(
            f"cannot be read ({lines[0]})", where=where, hint="check the address and your permissions"
        ) from None
