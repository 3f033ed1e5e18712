"""What lives in memory during a pass: elements that are wider than others, and moments of the backward pass."""

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


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of the backward pass through a component, beside all that the pass kept up to its end.

    `elements` of a token are gradients, less what was kept and is not needed any more; `weight` are those of the
    gradient of a matrix, which is made before it is added to the others.
    """

    elements: int
    weight: int = 0
