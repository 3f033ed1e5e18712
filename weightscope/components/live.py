"""What lives in memory during a pass: elements that are wider than others."""

from __future__ import annotations

import msgspec


class Widths(msgspec.Struct, frozen=True, kw_only=True):
    """How many elements of the computation's type one element takes.

    That is of float32, of the experts' shares, of what the weight of a root-mean-square norm multiplies, of what a
    layer norm keeps of each element that enters it, and of what enters a router (0: the same as enters the experts).
    """

    float32: int = 1
    shares: int = 1
    normed: int = 1
    layer_norm: int = 1
    router: int = 0
