"""A repository of the Hugging Face Hub as a folder: huggingface_hub lists and fetches, headers come by ranges."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import quote

from weightscope.checkpoint.background import Background
from weightscope.checkpoint.cached import snapshot
from weightscope.checkpoint.claims import is_sha256
from weightscope.checkpoint.folder import Expected, Listed, is_hidden
from weightscope.checkpoint.guess import head_of, tail_of
from weightscope.checkpoint.header_cache import Entry, Listing, Part, keep_part, load_part
from weightscope.checkpoint.hub_settings import settings
from weightscope.checkpoint.listing import headers
from weightscope.checkpoint.place import known_blob, name_commit, place
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.reference import HubReference
from weightscope.checkpoint.wire import Same, Wire
from weightscope.errors import RemoteError, UsageError, Where

# What is fetched whole, as a file here: configs, indexes, tokenizers.
MAX_SMALL = 200_000_000
MAX_CONFIG = 10_000_000
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


class HubFolder:
    """A repository at a commit, or a folder of it; files that the local cache has are read there."""

    def __init__(self, reference: HubReference, listing: Listing, prefix: str = "", *, whole: bool = True) -> None:
        self.reference = reference
        self.listing = listing
        self.path = snapshot(reference.repo, listing.commit) / prefix
        self.notes: tuple[str, ...] = (f"on the Hub, commit {listing.commit[:7]}: only headers were fetched",)
        self._prefix = f"{prefix}/" if prefix else ""
        self._files = {
            name.removeprefix(self._prefix): entry
            for name, entry in listing.files.items()
            if name.startswith(self._prefix)
        }
        self._wire = Wire()
        self._headers = headers()
        self._base = f"{settings().ENDPOINT}/{reference.repo}/resolve/{listing.commit}/"
        self._pool = Background(4)
        # One file that was named needs no index.
        indexes = [name for name in INDEXES if name in self._files][:1] if whole else []
        wanted = [name for name in ("config.json", *indexes) if name in self._files]
        self._ahead: dict[str, Future[Path]] = {name: self._pool.submit(self._fetch, name) for name in wanted}

    def __repr__(self) -> str:
        return f"HubFolder({str(self.where)!r})"

    @property
    def where(self) -> Where:
        """The repository."""
        return f"{self.reference.title}/{self._prefix}".rstrip("/")

    def named(self, name: str) -> Where:
        """The repository and the file."""
        return f"{self.where}/{name}"

    def names(self) -> list[str]:
        """What is directly in it."""
        return sorted({name.partition("/")[0] for name in self._files})

    def listed(self) -> dict[str, Listed]:
        """The commit's files; the Hub gives the SHA-256 of large ones."""
        # In a repository of SHA-256 objects, git's ids of small files look like that too.
        told = not is_sha256(self.listing.commit)
        return {
            name: Listed(bytes=entry.size, sha256=entry.etag if told and is_sha256(entry.etag) else "")
            for name, entry in self._files.items()
            if not is_hidden(name)
        }

    def holds(self, name: str) -> bool:
        """Whether the commit has it."""
        return name in self._files

    def is_here(self, name: str) -> bool:
        """Whether the local cache has it."""
        return (self.path / name).is_file()

    def size_of(self, name: str) -> int:
        """Its bytes."""
        return self._files[name].size

    def fetch(self, name: str) -> Path:
        """The file in the local cache, where huggingface_hub puts it."""
        ahead = self._ahead.get(name)
        return ahead.result() if ahead and not ahead.cancelled() else self._fetch(name)

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """The file by ranges, or what is remembered of it."""
        entry, where = self._files[name], self.named(name)
        part = load_part(self._key(entry))
        same = Same(where)

        def get(start: int, stop: int) -> bytes:
            piece = self._wire.get(self._url(name), start, stop, where=where, headers=self._headers)
            if piece.size != entry.size:
                raise RemoteError(
                    f"the repository lists {entry.size:,} bytes, but its server has {piece.size:,}", where=where
                )
            return same.checked(piece)

        return RangedFile(
            get,
            entry.size,
            where,
            head=head_of(name, entry.size, expected),
            tail=tail_of(expected),
            spans=part.spans if part and part.size == entry.size else (),
        )

    def keep(self, name: str, file: RangedFile) -> None:
        """Remember the header by what names the file's content."""
        if file.fetched:
            entry = self._files[name]
            keep_part(self._key(entry), Part(entry.size, entry.etag, file.spans))

    def download(self, name: str, received: Callable[[float], None]) -> Path:
        """A file of any size, in the local cache; `received` is told of bytes, and ends it by raising."""
        # To import what downloads takes a fifth of the time that a look at headers does.
        from weightscope.checkpoint.hub_file import fetch

        entry, repo, commit = self._files[name], self.reference.repo, self.listing.commit
        path = fetch(self._wire, repo, commit, self._prefix + name, entry, self.named(name), received)
        name_commit(repo, self.reference.revision, commit)
        return path

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._pool.cancel()
        self._wire.cut()
        self._pool.close()

    def sweep(self, names: tuple[str, ...]) -> None:
        """Remove what is half written of downloads that were given up."""
        from weightscope.checkpoint.hub_file import sweep

        for name in names:
            sweep(self.reference.repo, self._files[name])

    def _fetch(self, name: str) -> Path:
        if self.is_here(name):
            return self.path / name
        entry, where, repo = self._files[name], self.named(name), self.reference.repo
        most = MAX_CONFIG if name == "config.json" else MAX_SMALL
        if entry.size > most:
            raise RemoteError(f"has {entry.size:,} bytes, too many to fetch", where=where)
        content: bytes | bytearray | None = known_blob(repo, entry.etag, entry.size)
        if content is None:
            content = self._wire.all(self._url(name), entry.size, where=where, headers=self._headers)
        if len(content) != entry.size:
            raise RemoteError(
                f"the repository lists {entry.size:,} bytes, but {len(content):,} were received", where=where
            )
        path = place(repo, self.listing.commit, self._prefix + name, entry.etag, content, where)
        name_commit(repo, self.reference.revision, self.listing.commit)
        return path

    def _url(self, name: str) -> str:
        return self._base + quote(self._prefix + name)

    def _key(self, entry: Entry) -> str:
        """What names a file's content, and who says so: no repository can speak for another."""
        return f"hub {settings().ENDPOINT} {self.reference.repo} {entry.etag} {entry.size}"


def folder_of(reference: HubReference, listing: Listing) -> tuple[HubFolder, str]:
    """The folder that is meant, and the file in it where one is.

    Raises:
        UsageError: the repository has neither such a file nor such a folder.
    """
    name = reference.name
    if not name:
        return HubFolder(reference, listing), ""
    if name in listing.files:
        prefix, _, file = name.rpartition("/")
        return HubFolder(reference, listing, prefix, whole=False), file
    if any(other.startswith(f"{name}/") for other in listing.files):
        return HubFolder(reference, listing, name), ""
    raise UsageError(f"has no file or folder {name}", where=reference.title, hint="see the files on its page")
