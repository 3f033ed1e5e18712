"""What each stage of a pass put out: shape, magnitudes, a fingerprint, and the weights that made it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from weightscope.brief import brief
from weightscope.checkpoint.reader import Progress
from weightscope.ranges import summed

if TYPE_CHECKING:
    import torch

# Numbers in a fingerprint: each is a sum over all elements with signs of its own, scaled to the size of one element.
MARKS = 8
# Rows that differ by less than this share of the largest magnitude are the same.
SAME = 1e-6


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage of a pass put out: the residual stream after half a block, an embedding, a norm, a head.

    Attributes:
        stage: its name, such as `layer 0 attention`.
        equation: what it computes.
        weights: the names of the weights that it read, with ranges.
        roles: what they are for.
        shape: of the output; begins with a batch of 1.
        rms: the root mean square of all elements; None where one is NaN or infinite.
        absmax: the largest magnitude; None where an element is NaN or infinite.
        finite: whether all elements are.
        varies: whether its rows, one a token, differ at all.
        fingerprint: `MARKS` random sums: those of two outputs that differ by some share of their size differ by about
            as much.
    """

    stage: str
    equation: str
    weights: tuple[str, ...]
    roles: tuple[str, ...]
    shape: tuple[int, ...]
    rms: float | None
    absmax: float | None
    finite: bool
    varies: bool
    fingerprint: tuple[float, ...] | None = None

    __repr__ = brief


class _Seen(NamedTuple):
    """What was noted of a stage while the pass went on: as little as can be, the rest is made of it at the end."""

    name: str
    equation: str
    weights: tuple[str, ...]
    shape: tuple[int, ...]
    low: torch.Tensor
    high: torch.Tensor
    norm: float
    marks: torch.Tensor


class Recorder:
    """Watches a pass; `finish` then gives a `Stage` for each that was computed.

    `taken` are the names of the weights that were asked for since it was last emptied. `keep`, where given, is handed
    each stage's name and output; one that does not measure gives nothing at the end.
    """

    def __init__(
        self,
        taken: list[str],
        *,
        progress: Progress | None = None,
        keep: Callable[[str, torch.Tensor], None] | None = None,
        measures: bool = True,
    ) -> None:
        self._taken = taken
        self._measures = measures
        self._progress = progress
        self._keep = keep
        self._seen: list[_Seen] = []
        self._signs: dict[tuple[int, int], torch.Tensor] = {}

    def layer(self, name: str, reading: str, number: int, total: int) -> None:
        """Tell the progress bar what is computed, and what is read."""
        if self._progress:
            self._progress(number, total, f"{name}, reading {reading}" if reading else name)

    def stage(self, name: str, equation: str, x: torch.Tensor) -> None:
        """Note what a stage put out."""
        if self._keep:
            self._keep(name, x)
        names = tuple(dict.fromkeys(self._taken))
        self._taken.clear()
        if not self._measures:
            return
        import torch

        low, high = x.aminmax()
        wide = x if x.dtype is _wide(x) else x.to(_wide(x))
        norm = float(torch.linalg.vector_norm(wide))
        if math.isinf(norm):
            # The squares are beyond float32, the values need not be.
            largest = float(torch.maximum(-low, high))
            norm = float(torch.linalg.vector_norm(wide / largest)) * largest
        # Signs over the columns now, over the rows at the end: cheap, and independent enough to see any difference.
        marks = torch.nn.functional.linear(wide, self._sign(x.shape[1], 0, x))
        self._seen.append(_Seen(name, equation, names, tuple(x.shape), low, high, norm, marks))

    def finish(self, roles_of: Callable[[str], Iterable[str]]) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """The stages, and the weights that the first with NaN or infinity read."""
        stages = tuple(self._measured(seen, roles_of) for seen in self._seen)
        broken = (seen.weights for seen, stage in zip(self._seen, stages, strict=True) if not stage.finite)
        return stages, next(broken, ())

    def _measured(self, seen: _Seen, roles_of: Callable[[str], Iterable[str]]) -> Stage:
        low, high = float(seen.low), float(seen.high)
        finite = math.isfinite(low) and math.isfinite(high)
        elements = max(math.prod(seen.shape), 1)
        rms = seen.norm / math.sqrt(elements)
        return Stage(
            stage=seen.name,
            equation=seen.equation,
            weights=tuple(map(str, summed(seen.weights))),
            roles=tuple(dict.fromkeys(role for name in seen.weights for role in roles_of(name))),
            shape=(1, *seen.shape),
            rms=_figures(rms) if finite and math.isfinite(rms) else None,
            absmax=_figures(max(-low, high)) if finite else None,
            finite=finite,
            varies=not finite or _spread(seen.marks) > SAME * max(-low, high),
            fingerprint=self._fingerprint(seen.marks, elements) if finite else None,
        )

    def _fingerprint(self, marks: torch.Tensor, elements: int) -> tuple[float, ...]:
        sums = (marks.T * self._sign(len(marks), 1, marks)).sum(1) / math.sqrt(elements)
        return tuple(map(_figures, sums.tolist()))

    def _sign(self, length: int, axis: int, like: torch.Tensor) -> torch.Tensor:
        signs = self._signs.get((length, axis))
        if signs is None:
            signs = self._signs[length, axis] = random_signs(length, axis).to(like.device, _wide(like))
        return signs


@lru_cache(maxsize=16)
def random_signs(length: int, axis: int) -> torch.Tensor:
    """±1 [MARKS, length], the same on every machine and with every version of every library: splitmix64's bits."""
    import numpy as np
    import torch

    with np.errstate(over="ignore"):
        word = (2 * np.arange(length, dtype=np.uint64) + np.uint64(axis + 1)) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = ((word ^ (word >> np.uint64(31))) >> np.uint64(32)) >> np.arange(MARKS, dtype=np.uint64)[:, None]
    return torch.from_numpy((bits & np.uint64(1)).astype(np.float32) * 2 - 1)


def _spread(marks: torch.Tensor) -> float:
    """How far apart the rows are at most, in one of their sums."""
    low, high = marks.aminmax(dim=0)
    return float((high - low).max())


def _figures(value: float) -> float:
    """Six figures: what is beyond them differs from machine to machine."""
    return float(f"{value:.6g}")


def _wide(x: torch.Tensor) -> torch.dtype:
    import torch

    return torch.promote_types(x.dtype, torch.float32)
