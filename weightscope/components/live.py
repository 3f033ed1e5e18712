"""What lives in memory during a pass: elements that are wider than others, and moments at which much lives."""

from __future__ import annotations

import msgspec


class Widths(msgspec.Struct, frozen=True, kw_only=True):
    """How many elements of the computation's type one element takes, and how many copies of some live at once.

    Attributes:
        float32: one element of float32.
        shares: one of what an expert gives, times its share.
        router: one of what enters a router; 0 where that is what enters the experts.
        scores: copies of a score at once where no kernel makes attention; else 0.
        kept_scores: of them those that stay while the rest of the layer computes.
        left: vectors of the model's width that the first half of a layer leaves while the second one computes.
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
    """A moment of a pass, in elements of the computation's type.

    Attributes:
        elements: of each token that goes through.
        seen: of each token that is seen, where scores are materialized.
        pairs: of each pair of the two, where scores are materialized.
        shares: of `pairs` those that stay while the rest of the layer computes.
        mask: what stays of each pair through the pass, once for all moments with an equal one.
        stays: of each token, what stays through the pass.
        several: the moment is there only where a batch has several sequences.
        beyond: the moment is there only where more than so many tokens go through at once.
    """

    elements: int
    seen: int = 0
    pairs: int = 0
    shares: int = 0
    mask: Mask | None = None
    stays: int = 0
    several: bool = False
    beyond: int = 0
