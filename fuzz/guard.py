"""An audit hook that refuses what nobody asked for, and limits on the memory and time of an input."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 5
MEMORY = 1 << 30
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Our own child process, which reads a tokenizer or an image.
CHILD = os.path.join("forward", "children", "serve.py")
# By the places of their arguments that name what is changed; what a link points to is not.
CHANGES = {
    "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
    "os.truncate": (0,), "os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,), "os.mkfifo": (0,), "os.mknod": (0,),
    "shutil.move": (0, 1), "shutil.rmtree": (0,),
}  # fmt: skip
NEVER = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn", "pickle.find_class",
    "socket.bind", "socket.sendto", "socket.sendmsg", "ftplib.connect", "smtplib.connect", "webbrowser.open",
)  # fmt: skip


class Guard:
    """Refuses and notes; hooks cannot be taken out again, so it is told when to watch.

    Args:
        writable: folders in which files may be written.
        ports: those of 127.0.0.1 that may be connected to.
        starts: endings of arguments by which a process that may be started is known.
    """

    def __init__(
        self, writable: tuple[str, ...] = (), ports: tuple[int, ...] = (), starts: tuple[str, ...] = (CHILD,)
    ) -> None:
        self.writable = tuple(os.path.realpath(folder) for folder in writable)
        self.ports = ports
        self.starts = starts
        self.seen: list[str] = []
        self._watching = False
        self._checks: dict[str, Callable[[Any], str | None]] = {
            "open": self._opened,
            "subprocess.Popen": self._started,
            "socket.connect": self._connected,
            "socket.getaddrinfo": self._looked_up,
            "socket.gethostbyname": self._looked_up,
            **{event: self._changing(places) for event, places in CHANGES.items()},
            **dict.fromkeys(NEVER, str),
        }

    def install(self) -> None:
        """Hear of what this process does, for the rest of its life."""
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Refuse while this lasts."""
        self.seen.clear()
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and (check := self._checks.get(event)) and (what := check(arguments)):
            self.seen.append(f"{event} {what}")
            raise PermissionError(f"the fuzzer refuses {event} {what}")

    def _opened(self, arguments: tuple[Any, ...]) -> str | None:
        path, _, flags = arguments
        if not flags or not flags & WRITING or isinstance(path, int):
            return None
        return None if self._may_write(path) else f"to write {path!r}"

    def _changing(self, places: tuple[int, ...]) -> Callable[[tuple[Any, ...]], str | None]:
        def changed(arguments: tuple[Any, ...]) -> str | None:
            folder = arguments[-1]
            paths = [_below(folder, arguments[place]) for place in places]
            return next((repr(path) for path in paths if not self._may_write(path)), None)

        return changed

    def _may_write(self, path: Any) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path))
        return real == os.devnull or any(real == one or real.startswith(one + os.sep) for one in self.writable)

    def _started(self, arguments: tuple[Any, ...]) -> str | None:
        command = arguments[1]
        return None if any(str(part).endswith(self.starts) for part in command) else repr(command)

    def _connected(self, arguments: tuple[Any, ...]) -> str | None:
        address = arguments[1]
        known = isinstance(address, tuple) and address[0] == "127.0.0.1" and address[1] in self.ports
        return None if known else repr(address)

    def _looked_up(self, arguments: tuple[Any, ...]) -> str | None:
        host = arguments[0]
        name = host.decode() if isinstance(host, bytes) else host
        return None if self.ports and name == "127.0.0.1" else repr(host)


def _below(folder: Any, path: Any) -> Any:
    """The path, where it is told by a descriptor of its folder: that is the last argument, and -1 for none."""
    relative = isinstance(folder, int) and folder > 2 and not isinstance(path, int) and not os.path.isabs(path)
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path)) if relative else path


def limit_memory(more: int = MEMORY) -> None:
    """From now on this process may take so much more than it has."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + more)
    _lower(resource.RLIMIT_CORE, 0)


def limit_time() -> float:
    """The next input may take so many seconds of processor time, or the process is ended; those taken so far."""
    taken = time.process_time()
    _lower(resource.RLIMIT_CPU, int(taken) + 2 * SECONDS)
    return taken


def _lower(which: int, most: int) -> None:
    resource.setrlimit(which, (most, resource.getrlimit(which)[1]))
