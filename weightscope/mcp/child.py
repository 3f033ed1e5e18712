"""The process that answers one call: it reads a request, guards itself, and writes one line of JSON."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any

import msgspec

from weightscope.errors import WeightscopeError, one_line
from weightscope.mcp.allowed import Allowed
from weightscope.mcp.guard import Guard


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A tool and its arguments, what may be read for it, and seconds by the clock that it may take."""

    tool: str
    arguments: dict[str, Any]
    allowed: Allowed
    seconds: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The document as JSON, or one line on why there is none."""

    text: str = ""
    error: str = ""


def main() -> None:
    """Answer the request on standard input; nothing else may write to standard output meanwhile."""
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # As for any other command: the process is short.
    gc.disable()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    if os.name == "posix":
        # For the case that the server, which ends this process after as long, is itself gone by then.
        signal.alarm(request.seconds + 1)
    reply.write(msgspec.json.encode(answered(request)))
    reply.flush()
    # To free a large model object by object takes time.
    os._exit(0)


def answered(request: Request) -> Answer:
    """The answer; whatever goes wrong is one line."""
    try:
        guard_for(request.allowed).install()
        from weightscope.mcp.answering import answer
        from weightscope.mcp.fitting import fitted

        return Answer(text=fitted(answer(request.tool, request.arguments, request.allowed)))
    except WeightscopeError as error:
        return Answer(error=str(error))
    except (MemoryError, RecursionError):
        return Answer(error="out of memory: the files need more than this machine has")
    except OSError as error:
        return Answer(error=one_line(f"{error.filename or 'a file'}: {error.strerror or error}"))
    except Exception as error:  # noqa: BLE001 - whatever it is, a client gets one line
        return Answer(error=one_line(f"internal error ({type(error).__name__}: {error}); please report it"))


def guard_for(allowed: Allowed) -> Guard:
    """The guard; with the Hub allowed, its cache may be written."""
    if not allowed.hub:
        return Guard(allowed)
    from huggingface_hub.utils import get_token

    from weightscope.checkpoint.cached import cache_folder
    from weightscope.checkpoint.header_cache import home
    from weightscope.checkpoint.hub_settings import settings

    caches = (cache_folder(), home())
    for cache in caches:
        # Nothing above them can be made any more later on.
        cache.mkdir(parents=True, exist_ok=True)
    # The user's token is read now, and never again: a link in a model could lead to its file.
    if token := get_token():
        os.environ["HF_TOKEN"] = token
    settings().HF_TOKEN_PATH = os.devnull
    return Guard(allowed, writable=tuple(map(str, caches)))


if __name__ == "__main__":
    main()
