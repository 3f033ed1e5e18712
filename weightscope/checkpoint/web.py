"""A weight file at an http(s) address, with what lies beside it under its usual names: no server there lists files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from weightscope.checkpoint.candidates import format_by_name
from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.failures import AbsentError
from weightscope.checkpoint.folder import Expected, Listed
from weightscope.checkpoint.guess import head_of, tail_of
from weightscope.checkpoint.header_cache import Part, folder_for, keep_part, load_part, write_copy
from weightscope.checkpoint.ranged import RangedFile
from weightscope.checkpoint.reference import Address
from weightscope.checkpoint.wire import Piece, Same, Wire
from weightscope.errors import NotImplementedByWeightscope, Where

MAX_CONFIG = 10_000_000
# What is asked for beside a weight file; nothing else is.
BESIDE = ("config.json", "hf_quant_config.json")


class WebFolder:
    """The folder of one address; the file that was named is in it, and what is found to be beside it."""

    notes: tuple[str, ...] = ("at a web address: only the header was fetched",)

    def __init__(self, address: Address) -> None:
        self._base = urljoin(address.url, ".")
        self._shown = urljoin(address.shown, ".").rstrip("/")
        self._query = urlsplit(address.url).query
        self.name = unquote(urlsplit(address.url).path.rpartition("/")[2])
        usable = is_path(self.name) and "/" not in self.name
        if not usable or (not format_by_name(self.name) and self.name != "config.json"):
            raise NotImplementedByWeightscope(
                "is not the address of a weight file", where=address.shown,
                hint="give a .safetensors, .bin, .pt or .pth file or a config.json; of shards, one at a time",
            )  # fmt: skip
        self.path = folder_for(self._base)
        self._wire = Wire()
        self._beside: dict[str, Path | None] = {}

    def __repr__(self) -> str:
        return f"WebFolder({str(self.where)!r})"

    @property
    def where(self) -> Where:
        """The address of the folder."""
        return self._shown

    def named(self, name: str) -> Where:
        """The address of the file."""
        return f"{self._shown}/{name}"

    def names(self) -> list[str]:
        """What is known to be there."""
        return sorted({self.name} | {name for name in BESIDE if self.holds(name)})

    def listed(self) -> dict[str, Listed]:
        """Never asked for: an address means one file."""
        raise NotImplementedError

    def holds(self, name: str) -> bool:
        """Whether the server has it; asked for once."""
        if name == self.name:
            return True
        if name not in BESIDE:
            return False
        if name not in self._beside:
            try:
                self._beside[name] = self._fetch(name)
            except AbsentError:
                self._beside[name] = None
        return self._beside[name] is not None

    def is_here(self, name: str) -> bool:  # noqa: ARG002 - the answer is the same for all
        """Never: nothing is downloaded from an address."""
        return False

    def fetch(self, name: str) -> Path:
        """A copy of a small file."""
        return self._beside.get(name) or self._fetch(name)

    def open(self, name: str, expected: Expected | None) -> RangedFile:
        """The file by ranges; the first request also tells its size, and whether it is still what it was."""
        url, where = self._url(name), self.named(name)
        part = load_part(url)
        head = head_of(name, 0, expected)
        first = self._wire.get(url, 0, head, where=where, etag=part.etag if part else "")
        if first.data is None and part:
            first = Piece(data=b"", size=part.size, etag=part.etag)
            spans = part.spans
        else:
            spans = [(0, first.data or b"")]
        same, etag = Same(where), first.etag
        fetched = len(same.checked(first))

        def get(start: int, stop: int) -> bytes:
            # If-Range has the server send the whole, which is refused, where the file has changed meanwhile.
            strong = etag and not etag.startswith("W/")
            piece = self._wire.get(url, start, stop, where=where, headers={"If-Range": etag} if strong else {})
            return same.checked(piece)

        file = RangedFile(get, first.size, where, head=head, tail=tail_of(expected), spans=spans)
        file.etag, file.fetched = etag, fetched
        return file

    def keep(self, name: str, file: RangedFile) -> None:
        """Remember the header with the etag that the server knows it by; a weak one names no bytes."""
        if file.fetched and file.etag and not file.etag.startswith("W/"):
            keep_part(self._url(name), Part(len(file), file.etag, file.spans))

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._wire.cut()

    def _url(self, name: str) -> str:
        """What was signed was signed for the file that was named; nothing else is asked for with that."""
        url = urljoin(self._base, name)
        return f"{url}?{self._query}" if self._query and name == self.name else url

    def _fetch(self, name: str) -> Path:
        content = self._wire.all(self._url(name), MAX_CONFIG, where=self.named(name))
        return write_copy(self.path / name, content, self.named(name))
