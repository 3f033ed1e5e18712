"""What lives at once while tokens go through a model's layers, of the moments that their parts say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from weightscope.components.live import Live


class Widest(NamedTuple):
    """A moment, and the part of a layer that it is in."""

    live: Live
    word: str


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """The moments of the layers, and what lives beside each of them.

    That is so many vectors of the model's width (`streams`), elements of each token (`stays`), and of each pair of a
    token that goes through and one that it may see: `masks`, and the `shares` that stay through a layer.
    """

    width: int
    streams: int
    stays: int
    moments: tuple[Widest, ...]
    masks: float
    shares: int

    def peak(self, tokens: int, seen: int) -> tuple[int, Widest]:
        """The most elements, and at what, of one sequence of which so many tokens go through and so many are seen."""

        def elements(moment: Widest) -> int:
            live = moment.live
            each = self.streams * self.width + self.stays + live.elements
            return tokens * each + int(tokens * seen * self._pairs(live)) + seen * live.seen

        widest = max(self.moments, key=elements)
        return elements(widest), widest

    def formula(self, widest: Widest) -> str:
        """The same in words, where all tokens go through at once."""
        live = widest.live
        each = f"tokens · ({self.streams} · {self.width:,} + {self.stays + live.elements + live.seen:,})"
        pairs = self._pairs(live)
        return f"{each} + tokens · context · {pairs:,g}" if pairs else each

    def _pairs(self, live: Live) -> float:
        return self.masks + max(live.pairs, self.shares)


def layers_of(moments: Sequence[Widest], width: int, streams: int, tokens: int) -> Layers:
    """The layers with those of the moments that are there where so many tokens go through at once."""
    there = tuple(moment for moment in moments if tokens > moment.live.beyond)
    masks = {moment.live.mask for moment in there if moment.live.mask}
    return Layers(
        width=width,
        streams=streams,
        stays=sum(moment.live.stays for moment in there),
        moments=there,
        masks=sum(mask.elements for mask in masks),
        shares=max((moment.live.shares for moment in there), default=0),
    )
