"""What each stage of a pass put out: shape, magnitudes, a fingerprint, and the weights that made it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.rules.subject import summed
from weightscope.checkpoint.reader import Progress

if TYPE_CHECKING:
    import torch

# Numbers in a fingerprint: each is a sum over all elements with signs of its own, scaled to the size of one element.
MARKS = 8
# Rows that differ by less than this share of the largest magnitude are the same.
SAME = 1e-6


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: `weights` are names with ranges, `roles` what they are for, `shape` begins with a batch of 1.

    `rms` is the root of the mean square over all elements and `absmax` the largest magnitude; both are None where an
    element is NaN or infinite. `varies` is whether its rows, one a token, differ at all. `fingerprint` are `MARKS`
    random sums: two outputs that differ by some share of their size have fingerprints that differ by about as much.
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


class Recorder:
    """Watches a pass: a `Stage` for each that is computed; `keep`, where given, is handed each stage's output."""

    def __init__(
        self,
        taken: list[str],
        roles_of: Callable[[str], Iterable[str]],
        *,
        progress: Progress | None = None,
        keep: Callable[[str, torch.Tensor], None] | None = None,
    ) -> None:
        self.stages: list[Stage] = []
        # The first stage that put out NaN or infinity, and all that it read.
        self.broken: tuple[Stage, tuple[str, ...]] | None = None
        self._taken = taken
        self._roles_of = roles_of
        self._progress = progress
        self._keep = keep
        self._signs: dict[tuple[int, int], torch.Tensor] = {}
        self._finite = True

    def layer(self, name: str, number: int, total: int) -> None:
        """Tell the progress bar what is computed now, and read for it."""
        if self._progress:
            self._progress(number, total, name)

    def stage(self, name: str, equation: str, x: torch.Tensor) -> None:
        """Measure what a stage put out."""
        names = tuple(dict.fromkeys(self._taken))
        self._taken.clear()
        low, high = (float(bound) for bound in x.aminmax())
        finite = math.isfinite(low) and math.isfinite(high)
        largest = max(-low, high)
        marks = self._marks(x) if finite else None
        measured = Stage(
            stage=name,
            equation=equation,
            weights=tuple(summed(names)),
            roles=tuple(dict.fromkeys(role for read in names for role in self._roles_of(read))),
            shape=(1, *x.shape),
            rms=_figures(_rms(x, largest)) if finite else None,
            absmax=_figures(largest) if finite else None,
            finite=finite,
            varies=marks is None or float((marks.amax(0) - marks.amin(0)).amax()) > SAME * largest,
            fingerprint=None if marks is None else self._fingerprint(marks, x.numel()),
        )
        self.stages.append(measured)
        if not finite and self._finite:
            self.broken = measured, names
        self._finite = self._finite and finite
        if self._keep:
            self._keep(name, x)

    def _marks(self, x: torch.Tensor) -> torch.Tensor:
        """Random sums of each row's elements, [rows, MARKS]: rows that differ have other sums."""
        return x.to(_wide(x)) @ self._sign(x.shape[1], 0, x)

    def _fingerprint(self, marks: torch.Tensor, elements: int) -> tuple[float, ...]:
        """Signs over the columns, then over the rows: cheap, and still independent enough to see any difference."""
        sums = (marks * self._sign(len(marks), 1, marks)).sum(0) / math.sqrt(max(elements, 1))
        return tuple(map(_figures, sums.tolist()))

    def _sign(self, length: int, axis: int, like: torch.Tensor) -> torch.Tensor:
        signs = self._signs.get((length, axis))
        if signs is None:
            signs = self._signs[length, axis] = random_signs(length, axis).to(like.device, _wide(like))
        return signs


def random_signs(length: int, axis: int) -> torch.Tensor:
    """±1 [length, MARKS], the same on every machine and with every version of every library: splitmix64's bits."""
    import numpy as np
    import torch

    with np.errstate(over="ignore"):
        word = (2 * np.arange(length, dtype=np.uint64) + np.uint64(axis + 1)) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = ((word ^ (word >> np.uint64(31))) >> np.uint64(32))[:, None] >> np.arange(MARKS, dtype=np.uint64)
    return torch.from_numpy((bits & np.uint64(1)).astype(np.float32) * 2 - 1)


def _rms(x: torch.Tensor, largest: float) -> float:
    """The root mean square, also where the squares are beyond float32."""
    count = math.sqrt(max(x.numel(), 1))
    whole = float(x.norm(dtype=_wide(x)))
    return whole / count if math.isfinite(whole) else float((x / largest).norm(dtype=_wide(x))) * largest / count


def _figures(value: float) -> float:
    """Six figures: what is beyond them differs from machine to machine."""
    return float(f"{value:.6g}")


def _wide(x: torch.Tensor) -> torch.dtype:
    import torch

    return torch.promote_types(x.dtype, torch.float32)
