"""What failures of the network mean, in a line: the client's errors, and answers without content."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib import import_module

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from weightscope.errors import RemoteError, Where

# The root of the errors of whichever HTTP client huggingface_hub uses, and the one that is not below it.
ClientError: type[Exception] = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
InvalidURL: type[Exception] = import_module(ClientError.__module__.partition(".")[0]).InvalidURL
LOGIN = "set HF_TOKEN, or log in with `hf auth login`"
# By the names that the client's errors have: what may pass, and what does not.
UNREACHABLE = ("ConnectError", "ProxyError")
LOST = {
    "UnsupportedProtocol": "the server redirects to something that is not a web address",
    "TooManyRedirects": "the server redirects without end",
}
# What the Hub says in its header X-Error-Code, and what others say in their status.
BY_CODE = {
    "GatedRepo": ("a gated model, and you have no access to it", f"accept its terms on its page, and {LOGIN}"),
    "RevisionNotFound": ("no such revision", "name a branch, a tag or a commit"),
    "EntryNotFound": ("no such file in the repository", "see the files on its page"),
    "RepoNotFound": (
        "no such repository on the Hub, or it is private",
        f"check the spelling; for a private model, {LOGIN}",
    ),
}
BY_STATUS = {
    401: ("the server requires a login", f"check the spelling; for a private model of the Hub, {LOGIN}"),
    403: ("access is forbidden", f"check what your token allows, or {LOGIN}"),
    404: ("nothing was found at this address", "check the spelling"),
}


class AbsentError(RemoteError):
    """A server says that there is no such file."""


class NoRepositoryError(AbsentError):
    """The Hub has no such repository, or shows it to others only."""


class RefusedError(RemoteError):
    """The repository exists, and what was asked for of it cannot be had."""


def transport(error: BaseException) -> str:
    """What a failure of the connection is."""
    kind = type(error).__name__
    if kind in UNREACHABLE:
        return f"the server cannot be reached ({str(error) or kind})"
    return LOST.get(kind, "the server does not answer in time" if "Timeout" in kind else "the connection was lost")


def is_unresolved(error: BaseException) -> bool:
    """Whether the server's name has no address: the system asked for it more than once already."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, socket.gaierror):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


def failure(error: BaseException, where: Where) -> RemoteError:
    """What huggingface_hub or its client says of a failure, in a line."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RemoteError):
            return RemoteError(seen.what, where=where, hint=seen.hint or "try again later")
        if isinstance(seen, OfflineModeIsEnabled):
            return RemoteError("is not in the local cache, and HF_HUB_OFFLINE is set", where=where)
        if (response := getattr(seen, "response", None)) is not None:
            return refusal(response.status_code, response.headers, where)
        if isinstance(seen, ClientError):
            return RemoteError(transport(seen), where=where, hint="try again later")
        seen = seen.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return RemoteError(f"cannot be fetched ({lines[0]})", where=where, hint="try again later")


def refusal(status: int, headers: Mapping[str, str], where: Where) -> RemoteError:
    """What an answer without content means."""
    code = headers.get("X-Error-Code", "")
    what, hint = BY_CODE.get(code) or BY_STATUS.get(status) or (f"the server answers {status}", "try again later")
    return _kind(code, status)(what, where=where, hint=hint)


def _kind(code: str, status: int) -> type[RemoteError]:
    if code == "RepoNotFound":
        return NoRepositoryError
    if status in (404, 410) and code != "RevisionNotFound":
        return AbsentError
    return RefusedError if code in BY_CODE or status == 403 else RemoteError
