"""What a person can write to name a model that is not a path: a repository, one of its files, an address."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import msgspec

from weightscope.checkpoint.candidates import format_by_name
from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.foreign import kind_of
from weightscope.checkpoint.hub_settings import settings, web_fault
from weightscope.errors import UsageError

# What the Hub allows for both parts; `_is_repo` has the rest of its rules.
PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
REPO = rf"{PART}/{PART}"
# A revision with a slash in it is one of the Hub's own: refs/pr/1, refs/convert/parquet.
REVISION = r"refs/(?:pr/\d+|convert/[\w.-]+)|[^/]+"
# git allows none of these in the name of a branch or a tag.
SHORT = re.compile(rf"(?P<repo>{REPO})(?:@(?P<revision>(?!/)(?!.*(?:\.\.|//|/$))[^\s~^:?*\[\\\x00-\x1f\x7f]+))?")
LONG = re.compile(rf"(?P<repo>{REPO})(?:@(?P<revision>{REVISION}))?(?:/(?P<name>.*))?")
PAGE = re.compile(rf"/(?P<repo>{REPO})(?:/(?:resolve|blob|tree|raw)/(?P<revision>{REVISION})(?:/(?P<name>.*))?)?/?")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
MAIN = "main"
MAX_REPO = 96
FILE_SUFFIXES = (".json", ".txt", ".md", ".npy", ".pkl", ".py", ".tar", ".tar.gz", ".tgz", ".zip")


class HubReference(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of the Hub at a revision; `name` is a file or a folder of it, empty for all."""

    repo: str
    revision: str = MAIN
    name: str = ""

    @property
    def title(self) -> str:
        """How a message names the repository."""
        return self.repo if self.revision == MAIN else f"{self.repo}@{self.revision}"

    @property
    def address(self) -> str:
        """The same with its file or folder, as an hf:// address, which is never a path."""
        revision = "" if self.revision == MAIN else f"@{quote(self.revision, safe='')}"
        name = f"/{quote(self.name)}" if self.name else ""
        return f"hf://{self.repo}{revision}{name}"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An http(s) URL, or one of another scheme that fsspec may know."""

    url: str
    scheme: str

    @property
    def shown(self) -> str:
        """The URL without what may be secret: user and password, and the query that signs it."""
        try:
            parts = urlsplit(self.url)
        except ValueError:
            # What cannot be taken apart may hold a password all the same.
            scheme, _, rest = re.split(r"[?#]", self.url)[0].partition("://")
            return f"{scheme}://{rest.rpartition('@')[2]}"
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


Reference = HubReference | Address


def parse(text: str) -> Reference | None:
    """The reference that a text is; None where it can only be a path.

    Raises:
        UsageError: it begins as a reference and goes on as none.
    """
    scheme = SCHEME.match(text)
    # Bytes that are no UTF-8 come as halves of characters: the Hub has no such names.
    if any("\ud800" <= character <= "\udfff" for character in text):
        if scheme is None:
            return None
        raise UsageError("not an address: it is not valid UTF-8", where=text)
    if scheme is None:
        return _repo(text)
    kind, rest = scheme[1].lower(), text[scheme.end() :]
    if kind == "hf":
        found = LONG.fullmatch(rest)
        if found is None:
            raise UsageError("not an address on the Hub", where=text, hint="write hf://org/name or hf://org/name/file")
        return _hub(found)
    if kind == "file":
        path = unquote(text.partition("://")[2])
        raise UsageError("file:// addresses are not supported", where=text, hint=f"give the path {path}")
    address = Address(url=text, scheme=kind)
    try:
        urlsplit(text)
    except ValueError as error:
        raise UsageError(f"not an address ({error})", where=address.shown, hint="check the spelling") from None
    if kind in ("http", "https"):
        # Its own user and password are not shown.
        if fault := web_fault(text):
            raise UsageError(f"not a web address ({fault})", where=address.shown, hint="check the spelling")
        return _page(text) or address
    if "::" in text:
        raise UsageError("chained addresses (::) are not supported", where=address.shown)
    return address


def _repo(text: str) -> HubReference | None:
    found = SHORT.fullmatch(text)
    if found is None or not _is_repo(found["repo"]) or is_file(found["repo"].partition("/")[2]):
        return None
    return HubReference(repo=found["repo"], revision=found["revision"] or MAIN)


def _is_repo(text: str) -> bool:
    """Whether the Hub allows the name; in the cache, `--` stands for the slash."""
    short = all(len(part) <= MAX_REPO for part in text.split("/"))
    return short and "--" not in text and ".." not in text and not text.endswith(".git")


def is_file(name: str) -> bool:
    """Whether a name ends as files of a model do, and so names a file here rather than a repository."""
    return bool(format_by_name(name) or kind_of(name)) or name.endswith(FILE_SUFFIXES)


def _hub(found: re.Match[str]) -> HubReference:
    revision, name = unquote(found["revision"] or MAIN), unquote(found["name"] or "").strip("/")
    if not _is_repo(found["repo"]) or (name and not is_path(name)):
        raise UsageError("not an address on the Hub", where=found.string, hint="write hf://org/name/file")
    return HubReference(repo=found["repo"], revision=revision, name=name)


def _page(text: str) -> HubReference | None:
    """What a page or a download link of the Hub is about."""
    parts = urlsplit(text)
    endpoint = urlsplit(settings().ENDPOINT)
    if parts.netloc not in (endpoint.netloc, "huggingface.co", "hf.co"):
        return None
    path = parts.path.removeprefix(endpoint.path) if parts.netloc == endpoint.netloc else parts.path
    found = PAGE.fullmatch(path)
    return _hub(found) if found else None
