"""The last line of defence of a process that answers a client: it opens, writes, connects and starts nothing else.

What a client names is checked before (`allowed.py`). A model's own files may lead elsewhere: links, names in an index,
a base model. Python tells an audit hook of each file before it is opened, and what the hook raises is what `open` does.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from weightscope.mcp.allowed import Allowed, lies_in

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events that change files, with how many of their first arguments are paths.
CHANGES = {
    "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.chmod": 1, "os.chown": 1, "os.utime": 1, "os.truncate": 1,
    "os.rename": 2, "os.link": 2, "os.symlink": 2, "shutil.move": 2, "shutil.rmtree": 1,
}  # fmt: skip
CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
NEVER = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "socket.bind", "socket.sendto", "socket.sendmsg",
)  # fmt: skip


class Guard:
    """Refuses with a PermissionError, which reading code takes for a file that may not be read.

    Args:
        allowed: the folders that may be read, and whether the Hub may be.
        writable: folders that may be read and written: those of the Hub's cache.
    """

    def __init__(self, allowed: Allowed, writable: tuple[str, ...] = ()) -> None:
        # Whatever is imported on the way lies where Python looks for modules.
        modules = (*filter(None, sys.path), str(Path(__file__).parents[1]))
        self._writable = tuple(map(os.path.realpath, writable))
        self._readable = (*allowed.folders, *map(os.path.realpath, modules), *self._writable)
        self._checks: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            **{event: self._changing(count) for event, count in CHANGES.items()},
            **({} if allowed.hub else dict.fromkeys(CONNECTIONS, _refuse)),
            **dict.fromkeys(NEVER, _refuse),
        }

    def install(self) -> None:
        """Refuse from now on, for the rest of the process."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if check := self._checks.get(event):
            check(arguments)

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        _require(path, self._writable if flags & WRITING else self._readable)

    def _listed(self, arguments: tuple[Any, ...]) -> None:
        _require(arguments[0] or ".", self._readable)

    def _changing(self, count: int) -> Callable[[tuple[Any, ...]], None]:
        def changed(arguments: tuple[Any, ...]) -> None:
            for path in arguments[:count]:
                _require(path, self._writable)

        return changed


def _require(path: Any, places: tuple[str, ...]) -> None:
    # A number is a file that is open already.
    if isinstance(path, int):
        return
    real = os.path.realpath(os.fsdecode(path))
    if real != os.devnull and not any(lies_in(real, place) for place in places):
        raise PermissionError(errno.EACCES, "outside the allowed folders", os.fsdecode(path))


def _refuse(arguments: tuple[Any, ...]) -> None:  # noqa: ARG001 - of no use, whatever they are
    raise PermissionError(errno.EACCES, "not allowed here")
