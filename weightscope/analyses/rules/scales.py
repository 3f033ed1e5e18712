"""Are the scales of quantized weights values that their method writes? Read only with `--values`."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from weightscope.analyses.rules.subject import Subject, some
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import load_numpy
from weightscope.errors import CheckpointError
from weightscope.findings import Finding
from weightscope.quantization.common.method import as_texted
from weightscope.quantization.common.reading import check_length
from weightscope.ranges import summed
from weightscope.storage.base import Bounds, Kind

if TYPE_CHECKING:
    import numpy as np

RESTORE = "restore these tensors from the model's repository, or quantize the model again"
# Values looked at in one piece.
CHUNK = 1 << 20


def strange_scales(subject: Subject) -> Iterator[Finding]:
    """`quantization-mismatch`: a scale, zero point or index that its method never writes, or a text unlike config.json.

    NaN and infinity are `non-finite`, and what cannot be read was said already: both are left out here.
    """
    for group in subject.inventory.groups:
        if group.bounds is None:
            continue
        beyond: dict[str, list[tuple[str, float]]] = {}
        for name in group.names:
            for fault, value in _faults(subject.checkpoint, name, group.bounds):
                beyond.setdefault(fault, []).append((name, value))
        for fault, found in beyond.items():
            yield _finding(group.bounds, fault, found)
    yield from _contradicting_texts(subject)


def _contradicting_texts(subject: Subject) -> Iterator[Finding]:
    """Texts beside packed weights that are none, or say something else than config.json and the declaration."""
    tensors = subject.checkpoint.tensors

    def read(name: str, most: int) -> bytes:
        entry = tensors[name]
        check_length(name, prod(entry.shape), most)
        return _values(subject.checkpoint, entry).tobytes()

    for group in subject.inventory.groups:
        scheme = as_texted(group.scheme)
        if scheme is None or group.kind is not Kind.WEIGHT:
            continue
        wrong: dict[str, str] = {}
        for name in group.names:
            try:
                scheme.check_text(name, read, lambda part: tensors[part].shape)
            except KeyError:
                continue  # Said as missing.
            except CheckpointError as error:
                wrong[name] = error.what
        if wrong:
            yield _wrong_text(wrong)


def _wrong_text(wrong: dict[str, str]) -> Finding:
    more = f"; {len(wrong) - 1:,} more like it" if len(wrong) > 1 else ""
    return Finding(
        code="quantization-mismatch",
        severity="error",
        message=f"{next(iter(wrong.values()))}{more}",
        tensors=tuple(summed(list(wrong))),
        config=("quantization_config",),
        hint=RESTORE,
    )


def _finding(bounds: Bounds, fault: str, found: list[tuple[str, float]]) -> Finding:
    titles = tuple(summed([name for name, _ in found]))
    worst = max((value for _, value in found), key=abs)
    said = {
        "zero": "contain zeros",
        "low": f"go down to {min(value for _, value in found):.6g}; the minimum is {_limit(bounds.least)}",
        "high": f"go up to {worst:.6g}; the maximum is {_limit(bounds.most)}",
    }[fault]
    return Finding(
        code="quantization-mismatch",
        severity="error",
        message=f"{', '.join(titles[:3])}: {bounds.words} of {some(found)} {said}"
        + (f": {bounds.why}" if bounds.why else ""),
        tensors=titles,
        config=("quantization_config",),
        hint=RESTORE,
    )


def _limit(value: float | None) -> str:
    return f"{value:.6g}" if value is not None else "none"


def _faults(checkpoint: Checkpoint, name: str, bounds: Bounds) -> Iterator[tuple[str, float]]:
    """What is wrong with the values of one tensor, and the value that shows it."""
    import numpy as np

    try:
        values = _values(checkpoint, checkpoint.tensors[name])
    except CheckpointError:
        return
    low, high, zero = np.inf, -np.inf, False
    for start in range(0, values.size, CHUNK):
        piece = values[start : start + CHUNK].astype(np.float64)
        piece = piece[np.isfinite(piece)]
        if piece.size:
            low, high = min(low, float(piece.min())), max(high, float(piece.max()))
            zero = zero or not piece.all()
    if zero and not bounds.zero:
        yield "zero", 0.0
    # Zero was said; what the least forbids is what is below it.
    if bounds.least is not None and low < bounds.least and (low != 0 or bounds.zero):
        yield "low", low
    if bounds.most is not None and high > bounds.most:
        yield "high", high


def _values(checkpoint: Checkpoint, entry: TensorEntry) -> np.ndarray[Any, Any]:
    return load_numpy(checkpoint.files, entry).reshape(-1)
