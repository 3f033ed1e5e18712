"""A pass held against logits of another program, from a .npy file."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.golden import Tolerance
from weightscope.analyses.forward.result import Result
from weightscope.errors import UsageError
from weightscope.findings import Finding

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"\x93NUMPY"
# Bytes, NumPy's own limit.
MAX_HEADER = 10_000


def read_logits(path: Path) -> np.ndarray[Any, Any]:
    """Expected logits from a .npy file, mapped; its header is bounded before NumPy reads it.

    Raises:
        UsageError: it cannot be read, or holds no numbers.
    """
    import numpy as np

    try:
        _check_header(path)
        with warnings.catch_warnings():
            # NumPy and Python warn of headers that are odd Python; what they hold is checked below.
            warnings.simplefilter("ignore")
            array = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=MAX_HEADER)
    # NumPy reads a header as Python, whose tokenizer, parser and numbers have errors of many kinds.
    except Exception as error:  # noqa: BLE001
        raise UsageError(
            f"cannot be read as logits ({error})", where=path, hint="write one with --save-logits"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UsageError("does not hold an array of numbers", where=path, hint="write one with --save-logits")
    return array


def _check_header(path: Path) -> None:
    """Raise unless the file begins as a .npy file, with a header of a sane length.

    NumPy reads a header before it looks at its length, and opens zip archives by the same function.
    """
    with path.open("rb") as file:
        start = file.read(12)
    # The magic string, two bytes of the version, and two or four of the header's length.
    wide = start[6:7] != b"\x01"
    if start[:6] != MAGIC or len(start) < 12:
        raise ValueError("it is not a .npy file")
    length = int.from_bytes(start[8 : 12 if wide else 10], "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length:,} bytes; the limit is {MAX_HEADER:,}")


def against_logits(
    result: Result, expected: np.ndarray[Any, Any], tolerance: Tolerance
) -> tuple[tuple[Finding, ...], float]:
    """What differs, and the largest difference.

    Raises:
        UsageError: the expected logits have another shape.
    """
    import numpy as np

    actual = result.logits.numpy()
    if expected.shape not in (actual.shape, (1, *actual.shape)):
        raise UsageError(
            f"the expected logits have the shape {list(expected.shape)}, the pass's {list(actual.shape)}",
            hint="give the same tokens and model",
        )
    expected = np.asarray(expected).reshape(actual.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(actual - expected)
    largest = float(difference.max(initial=0.0))
    size = _rms(expected)
    if math.isfinite(largest) and tolerance.allows(largest, size):
        return (), largest
    return tuple(_other_logits(actual, expected, difference, largest, size)), largest


def _rms(values: np.ndarray[Any, Any]) -> float:
    """The root mean square, also of numbers whose squares are too large for a float64."""
    import numpy as np

    if not values.size:
        return 0.0
    largest = max(abs(float(values.max())), abs(float(values.min())))
    if not largest or not math.isfinite(largest):
        return largest
    scaled = np.divide(values, largest, dtype=np.float64)
    return largest * math.sqrt(float(np.mean(np.square(scaled, out=scaled))))


def _other_logits(
    actual: np.ndarray[Any, Any],
    expected: np.ndarray[Any, Any],
    difference: np.ndarray[Any, Any],
    largest: float,
    size: float,
) -> Iterator[Finding]:
    import numpy as np

    place = np.unravel_index(int(np.argmax(np.nan_to_num(difference, nan=np.inf))), difference.shape)
    position, token = (int(number) for number in place)
    yield Finding(
        code="output-mismatch",
        severity="error",
        message=f"logits differ by up to {largest:.3g}, most at position {position:,}, token {token:,};"
        f" the RMS of the expected logits is {size:.3g}",
        expected=float(expected[position, token]),
        actual=float(actual[position, token]),
        hint="compare with a golden file (--record) of a correct pass: it names the first stage that differs",
    )
