"""A library that cannot be bounded, in a child process that can: it gets limits and is asked over pipes.

Linux bounds the child's memory and processor time, macOS its processor time, and every system its time by the clock.
Windows and macOS have no limit on its memory; there the time ends what grows.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from weightscope.analyses.forward.children.serve import ANSWER, MAX_REASON, REQUEST

SCRIPT = Path(__file__).parent / "children" / "serve.py"
MAX_CHILD_MEMORY = 768 * 2**20
# Seconds by the clock that a request may take, and those for each second of processor time that it may take.
WALL_SECONDS = 20.0
WALL_FACTOR = 10.0
# Isolated from the environment and the working directory, without site-packages, and without writing bytecode.
FLAGS = ("-I", "-S", "-B")
# One thread, one arena: others reserve memory that the limit counts.
ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class ChildError(Exception):
    """The child gave no answer; the message says why."""


class Child:
    """A child process of a kind, the name of a module in `children`; it ends when this is closed.

    Args:
        kind: the module that answers.
        library: the package that it needs, which is not imported here.

    Raises:
        ImportError: the library is not installed.
        OSError: no process can be started.
    """

    def __init__(self, kind: str, library: str) -> None:
        command = [*FLAGS, str(SCRIPT), kind, str(_folder(library)), str(MAX_CHILD_MEMORY)]
        self._process = subprocess.Popen(  # noqa: S603 - Python itself, and a script of this package
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=SCRIPT.parent,
            env=os.environ | ENVIRONMENT,
        )
        self._limits: list[tuple[float, float]] = []
        self._seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, request: bytes, seconds: float) -> None:
        """Ask, and wait for nothing: answers come in the order of requests.

        Args:
            request: what the child's module takes.
            seconds: of processor time that are allowed for it, beside what earlier requests left.
        """
        wall = WALL_SECONDS + WALL_FACTOR * seconds
        self._seconds += seconds
        self._limits.append((self._seconds, time.monotonic() + wall))
        assert self._process.stdin
        # A child that has ended takes nothing: `receive` says why.
        with contextlib.suppress(OSError):
            self._process.stdin.write(REQUEST.pack(len(request), seconds, wall) + request)
            self._process.stdin.flush()

    def receive(self, most: int) -> bytes:
        """The answer to the earliest request without one, of at most so many bytes.

        Raises:
            ChildError: there is none.
        """
        seconds, deadline = self._limits.pop(0)
        assert self._process.stdout
        head = self._process.stdout.read(ANSWER.size)
        if len(head) < ANSWER.size:
            raise ChildError(self._end(seconds, deadline))
        status, size = ANSWER.unpack(head)
        if size > (4 * MAX_REASON if status else most):
            raise ChildError(f"its answer is larger than {most:,} bytes")
        answer = self._process.stdout.read(size)
        if len(answer) < size:
            raise ChildError(self._end(seconds, deadline))
        if status:
            raise ChildError(answer.decode("utf-8", "replace"))
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        process = self._process
        process.kill()
        for pipe in (process.stdin, process.stdout):
            # What was never sent need not be.
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        process.wait()

    def _end(self, seconds: float, deadline: float) -> str:
        """Why the process ended."""
        code = self._process.wait()
        if code in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
            return f"it takes more than {seconds:.0f} s of processor time"
        if time.monotonic() >= deadline:
            return f"it takes more than {WALL_SECONDS:.0f} s"
        if code == -signal.SIGABRT:
            return f"the library aborted; it may need more than {MAX_CHILD_MEMORY >> 20} MiB of memory"
        return f"the library ended its process with status {code}"


def _folder(library: str) -> Path:
    """Where a package lies, without importing it."""
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        raise ImportError(library)
    return Path(spec.origin).parents[1]
