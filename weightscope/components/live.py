"""What an element takes in memory during a pass, where not all are of one type."""

from __future__ import annotations

import msgspec


class Widths(msgspec.Struct, frozen=True, kw_only=True):
    """How many elements of the computation's type one element takes: of float32, and of the experts' shares."""

    float32: int = 1
    shares: int = 1
