"""One reading of a tensor's values, which can be stopped from another thread."""

from __future__ import annotations

from threading import Event

from weightscope.browse.nodes import Listed
from weightscope.browse.values import Values, read_values
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

    def values(self) -> Values | None:
        """What was read; None once it was stopped.

        Raises:
            WeightscopeError: as for `read_values`.
        """
        return read_values(self._checkpoint, self.listed, self._so_far, self._stop)

    def _so_far(self, share: float) -> None:
        self.share = share
