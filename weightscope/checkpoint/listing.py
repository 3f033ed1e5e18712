"""Which files a repository of the Hub has at a revision: one request, and none where the commit was seen before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

import msgspec
from huggingface_hub import __version__ as HUB_VERSION  # noqa: N812 - beside our own
from huggingface_hub.utils import get_token

from weightscope import __version__
from weightscope.checkpoint.claims import MAX_SIZE, is_hash, is_path, is_sha256, leaves
from weightscope.checkpoint.header_cache import Entry, Listing, keep_listing, load_listing
from weightscope.checkpoint.hub_settings import settings
from weightscope.checkpoint.reference import HubReference
from weightscope.checkpoint.wire import Wire
from weightscope.errors import RemoteError, UsageError

MAX_LISTING = 50_000_000
# Of objects in it, two for each large file.
MAX_OBJECTS = 500_000

Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]


class _Large(msgspec.Struct):
    sha256: str
    size: Size


class _File(msgspec.Struct, rename="camel"):
    """A file as the API describes it."""

    rfilename: str
    size: Size | None = None
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
    if is_hash(reference.revision) and (known := load_listing(reference.repo, reference.revision)):
        return known
    base = f"{settings().ENDPOINT}/api/models/{reference.repo}"
    url = f"{base}/revision/{quote(reference.revision, safe='')}?blobs=true"
    raw = wire.all(url, MAX_LISTING, where=reference.title, headers=headers())
    if raw.count(b"{") > MAX_OBJECTS:
        raise RemoteError(f"the server lists more than {MAX_OBJECTS // 2:,} files", where=reference.title)
    try:
        info = msgspec.json.decode(raw, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteError(
            "the server's answer does not describe a model", where=reference.title, hint="check HF_ENDPOINT"
        ) from None
    listing = Listing(_commit(info, reference), dict(_named(info, reference)))
    keep_listing(reference.repo, listing)
    return listing


def _commit(info: _Info, reference: HubReference) -> str:
    if not is_hash(info.sha):
        raise RemoteError("the server gave a commit that is not a hash", where=reference.title)
    if is_hash(reference.revision) and info.sha != reference.revision:
        raise RemoteError("the server returned a different commit", where=reference.title)
    return info.sha


def _named(info: _Info, reference: HubReference) -> Iterator[tuple[str, Entry]]:
    """Files by names that are paths here. Others cannot be read on every system, and are left out."""
    for file in info.siblings:
        if leaves(file.rfilename):
            raise RemoteError("the server lists a file outside of the repository", where=reference.title)
        if not is_path(file.rfilename):
            continue
        entry = file.entry
        if not (is_sha256(entry.etag) if file.lfs else is_hash(entry.etag)):
            where = f"{reference.title}/{file.rfilename}"
            raise RemoteError("the server gave an invalid content hash", where=where)
        yield file.rfilename, entry


def headers() -> dict[str, str]:
    """Who asks, and the user's token where there is one.

    They are made here: huggingface_hub's own function asks the server for a list first, which nothing bounds.

    Raises:
        UsageError: a variable holds what no header can.
    """
    hub = settings()
    agent = [f"weightscope/{__version__}", f"hf_hub/{HUB_VERSION}"]
    origin = hub.HF_HUB_USER_AGENT_ORIGIN
    made = {"user-agent": "; ".join([*agent, f"origin/{origin}"] if origin else agent)}
    try:
        token = None if hub.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except (OSError, UnicodeDecodeError) as error:
        where = hub.HF_TOKEN_PATH
        raise UsageError(f"the token cannot be read ({error})", where=where, hint="see HF_TOKEN_PATH") from None
    if token:
        made["authorization"] = f"Bearer {token}"
    if not all(value.isascii() and value.isprintable() for value in made.values()):
        raise UsageError(
            "the token, or HF_HUB_USER_AGENT_ORIGIN, contains a character that cannot be sent", hint="see HF_TOKEN"
        )
    return made
