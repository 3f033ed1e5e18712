"""Figures of today beside those of a `stats --json` that somebody kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from weightscope.analyses.stats.figures import Figures
from weightscope.analyses.stats.result import Baseline, Drift, Stats, TensorStats
from weightscope.errors import UsageError, printable_path

# The figures of 90,000 tensors take some 60 MB.
MAX_BYTES = 1 << 28
# Sums over other chunks may differ in the last digits.
CLOSE = 1e-9


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a baseline."""

    schema_version: int
    complete: bool
    stored: bool
    sample: int | None
    tensors: tuple[TensorStats, ...]


def read_baseline(path: Path) -> Kept:
    """The figures in a file.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    hint = "write one with `weightscope stats MODEL --json --output FILE`"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError("too large to be a baseline", where=path, hint=hint)
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror or error})", where=path, hint="check the path") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not the JSON of stats ({error})", where=path, hint=hint) from None
    if kept.schema_version != 1:
        raise UsageError(f"schema_version {kept.schema_version} is not known", where=path, hint=hint)
    return kept


def compare_with(stats: Stats, kept: Kept, path: Path) -> Baseline:
    """What drifted.

    Raises:
        UsageError: the baseline is of another model, or was taken in another way.
    """
    ways = {"--stored": (stats.stored, kept.stored), "--sample": (stats.sample, kept.sample)}
    for option, (now, before) in ways.items():
        if now != before:
            raise UsageError(f"was taken with another {option}", where=path, hint="take both in the same way")
    new, old = ({row.name: row for row in rows} for rows in (stats.tensors, kept.tensors))
    both = [name for name in new if name in old and new[name].shape == old[name].shape]
    if not both and (new or old):
        raise UsageError("has no tensor in common with this model", where=path, hint="it is the baseline of another")
    drifted = tuple(drift for name in both for drift in _drift(new[name], old[name]))
    return Baseline(
        reference=printable_path(path),
        same=len(both) - len(drifted),
        drifted=drifted,
        added=tuple(name for name in new if name not in both),
        removed=tuple(name for name in old if name not in both) if stats.complete else (),
    )


def _drift(now: TensorStats, before: TensorStats) -> Iterator[Drift]:
    new, old = now.figures, before.figures
    if _same(new, old):
        return
    apart = None if new.mean is None or old.mean is None else new.mean - old.mean
    yield Drift(
        name=now.name,
        mean_shift=apart / old.std if apart is not None and old.std else None,
        std_ratio=_ratio(new.std, old.std),
        absmax_ratio=_ratio(new.absmax, old.absmax),
        zeros=new.zeros - old.zeros,
        non_finite=new.non_finite - old.non_finite,
    )


def _same(new: Figures, old: Figures) -> bool:
    for name in Figures.__struct_fields__:
        a, b = getattr(new, name), getattr(old, name)
        if isinstance(a, float) and isinstance(b, float):
            if abs(a - b) > CLOSE * max(abs(a), abs(b), new.absmax or 0.0):
                return False
        elif a != b:
            return False
    return True


def _ratio(new: float | None, old: float | None) -> float | None:
    return new / old if new is not None and old else None
