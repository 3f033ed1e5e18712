"""What each stage of a pass put out: shape, magnitudes, a fingerprint, and the weights that made it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from weightscope.analyses.forward.measuring import Measures, measure
from weightscope.brief import brief
from weightscope.checkpoint.reader import Progress
from weightscope.ranges import summed

if TYPE_CHECKING:
    import torch

# Elements of outputs that wait to be measured together; one that has more is measured by itself.
SMALL = 1 << 16
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
    """What was noted of a stage while the pass went on."""

    name: str
    equation: str
    weights: tuple[str, ...]
    shape: tuple[int, ...]


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
        self._measured: list[Measures] = []
        # Outputs of one shape and type that are not measured yet.
        self._waiting: list[torch.Tensor] = []

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
        self._seen.append(_Seen(name, equation, names, tuple(x.shape)))
        if self._waiting and (x.shape, x.dtype) != (self._waiting[0].shape, self._waiting[0].dtype):
            self._measure()
        if x.numel() > SMALL:
            self._measured += measure(x[None])
            return
        # What follows may write over it.
        self._waiting.append(x.clone())
        if len(self._waiting) * x.numel() > SMALL:
            self._measure()

    def _measure(self) -> None:
        """Measure what waits, at once: for small outputs torch's calls cost more than the numbers."""
        import torch

        if self._waiting:
            self._measured += measure(torch.stack(self._waiting))
            self._waiting.clear()

    def finish(self, roles_of: Callable[[str], Iterable[str]]) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """The stages, and the weights that the first with NaN or infinity read."""
        self._measure()
        stages = tuple(_stage(*one, roles_of) for one in zip(self._seen, self._measured, strict=True))
        broken = (seen.weights for seen, stage in zip(self._seen, stages, strict=True) if not stage.finite)
        return stages, next(broken, ())


def _stage(seen: _Seen, measures: Measures, roles_of: Callable[[str], Iterable[str]]) -> Stage:
    finite = math.isfinite(measures.low) and math.isfinite(measures.high)
    rms = measures.norm / math.sqrt(max(math.prod(seen.shape), 1))
    largest = max(-measures.low, measures.high)
    return Stage(
        stage=seen.name,
        equation=seen.equation,
        weights=tuple(map(str, summed(seen.weights))),
        roles=tuple(dict.fromkeys(role for name in seen.weights for role in roles_of(name))),
        shape=(1, *seen.shape),
        rms=_figures(rms) if finite and math.isfinite(rms) else None,
        absmax=_figures(largest) if finite else None,
        finite=finite,
        varies=not finite or measures.spread > SAME * largest,
        fingerprint=tuple(map(_figures, measures.fingerprint)) if finite else None,
    )


def _figures(value: float) -> float:
    """Six figures: what is beyond them differs from machine to machine."""
    return float(f"{value:.6g}")
