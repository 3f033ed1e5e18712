"""What lives in memory during a pass: elements that are wider than others, and moments at which much lives."""

from __future__ import annotations

import msgspec


class Widths(msgspec.Struct, frozen=True, kw_only=True):
    """How many elements of the computation's type one element takes.

    That is of float32, of the experts' shares, and of what enters a router (0: the same as enters the experts).
    `scores` are how many copies of a score live at once where they are materialized, and `kept_scores` while
    the rest of the layer computes; both are 0 where a kernel keeps none.
    `left` are how many vectors of the model's width the first half of a layer leaves alive while the second computes.
    """

    float32: int = 1
    shares: int = 1
    router: int = 0
    scores: int = 0
    kept_scores: int = 0
    left: int = 0


class Mask(msgspec.Struct, frozen=True, kw_only=True):
    """A mask that stays through a pass: so many elements of each pair of tokens, of what is seen by `sees`."""

    sees: object
    elements: float


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of a pass: elements of each token that goes through, of each that is seen, and of each pair of the two.

    `seen` and `pairs` are there where scores are materialized. Of the pairs' `shares` stay while the rest of the layer
    computes, and beside all each different `mask`. Elements of each token that are in `stays` stay through the pass.
    Where a batch has one sequence, those for `several` are not there; nor those for texts `beyond` so many tokens,
    where no more go through at once.
    """

    elements: int
    seen: int = 0
    pairs: int = 0
    shares: int = 0
    mask: Mask | None = None
    stays: int = 0
    several: bool = False
    beyond: int = 0
