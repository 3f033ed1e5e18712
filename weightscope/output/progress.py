"""A progress bar on standard error for what takes over a second; nothing is imported or drawn before that."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from weightscope.errors import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PATIENCE = 1.0
# Of a name's characters; a hostile one can have millions.
MAX_NAME = 200


class Progress:
    """`with Progress("Reading headers") as progress: open(..., progress=progress)`.

    Where steps are `bytes`, the bar shows speed and the time that is left.
    """

    def __init__(self, title: str, *, bytes: bool = False) -> None:
        self.title = title
        self._bytes = bytes
        self._start = time.monotonic()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._shows = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Called before each step."""
        if not self._shows or (self._bar is None and time.monotonic() - self._start < PATIENCE):
            return
        if self._bar is None:
            self._bar, self._task = _bar(self.title, total, bytes=self._bytes)
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, what=one_line(what, MAX_NAME))


def _bar(title: str, total: int, *, bytes: bool) -> tuple[RichProgress, TaskID]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    steps: tuple[ProgressColumn, ...] = (MofNCompleteColumn(),)
    if bytes:
        steps = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *steps,
        TextColumn("{task.fields[what]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    bar.start()
    return bar, bar.add_task(title, total=total, what="")
