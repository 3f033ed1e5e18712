"""One reading of a tensor's values in the background, which can be stopped."""

from __future__ import annotations

import asyncio
from threading import Event

from weightscope.browse.nodes import Listed
from weightscope.browse.values import Values, read_values
from weightscope.checkpoint.background import Background
from weightscope.checkpoint.reader import Checkpoint


class Reading:
    """`share` is the part that was read so far."""

    def __init__(self, checkpoint: Checkpoint, listed: Listed) -> None:
        self.listed = listed
        self.share = 0.0
        self._checkpoint = checkpoint
        self._stop = Event()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()

    async def values(self, threads: Background) -> Values | None:
        """What was read; None once it was stopped.

        Raises:
            WeightscopeError: as for `read_values`.
        """

        def progress(share: float) -> None:
            self.share = share

        reading = threads.submit(read_values, self._checkpoint, self.listed, progress, self._stop)
        return await asyncio.wrap_future(reading)
