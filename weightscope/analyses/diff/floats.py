"""Types of floats: which they are, and how far their numbers are apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.checkpoint.array_types import numpy_dtype

if TYPE_CHECKING:
    import numpy as np

    from weightscope.analyses.held.holdings import Held


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type of floats, NumPy's or ml_dtypes'."""
    return dtype.kind == "f" or "float" in dtype.name


def type_of(held: Held) -> np.dtype[Any]:
    """The type of floats that a weight is stored in."""
    return numpy_dtype(held.dtype, Path())


def units(numbers: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The distance from each number to the next in a type of floats: one unit in the last place."""
    import ml_dtypes
    import numpy as np

    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    exponents = np.frexp(np.abs(numbers))[1] - 1
    spaces: np.ndarray[Any, Any] = np.exp2(exponents.astype(np.float64)) * float(info.eps)
    spaces[:] = np.maximum(spaces, float(info.eps) * float(info.smallest_normal))
    return spaces
