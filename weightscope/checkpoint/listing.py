"""Which files a repository of the Hub has at a revision: one request, and none where the commit was seen before."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers

from weightscope.checkpoint.kept import Entry, Listing, keep_listing, load_listing
from weightscope.checkpoint.reference import HubReference
from weightscope.checkpoint.wire import Wire
from weightscope.errors import RemoteError

MAX_LISTING = 50_000_000
COMMIT = re.compile(r"[0-9a-f]{40}")


class _Large(msgspec.Struct):
    sha256: str
    size: int


class _File(msgspec.Struct, rename="camel"):
    """A file as the API describes it."""

    rfilename: str
    size: int | None = None
    blob_id: str = ""
    lfs: _Large | None = None

    @property
    def entry(self) -> Entry:
        """Large files are named by their content's SHA-256, which is their etag; others by git's id."""
        return Entry(self.lfs.size, self.lfs.sha256) if self.lfs else Entry(self.size or 0, self.blob_id)


class _Info(msgspec.Struct):
    """What the API says of a model, as far as it matters here; HfApi's class for all of it takes long to import."""

    sha: str
    siblings: list[_File] = []


def list_files(reference: HubReference, wire: Wire) -> Listing:
    """The commit that a revision is, and all its files, in one request; none where that commit was seen before.

    Raises:
        RemoteError: no such repository or revision, no access, no network.
    """
    if COMMIT.fullmatch(reference.revision) and (known := load_listing(reference.repo, reference.revision)):
        return known
    url = f"{constants.ENDPOINT}/api/models/{reference.repo}/revision/{quote(reference.revision, safe='')}?blobs=true"
    raw = wire.all(url, MAX_LISTING, where=reference.title, headers=headers())
    try:
        info = msgspec.json.decode(raw, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteError(
            "the server describes no model there", where=reference.title, hint="is HF_ENDPOINT a Hub?"
        ) from None
    listing = Listing(info.sha, {file.rfilename: file.entry for file in info.siblings})
    keep_listing(reference.repo, listing)
    return listing


def headers() -> dict[str, str]:
    """With the user's token, where there is one."""
    made: dict[str, str] = build_hf_headers(library_name="weightscope")
    return made
