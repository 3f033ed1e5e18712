"""NumPy's and torch's types of a file's elements, and whether those libraries can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.checkpoint.dtypes import DTYPE_BITS, TORCH_NAMES
from weightscope.checkpoint.entry import TensorEntry
from weightscope.errors import NotImplementedByWeightscope, WeightscopeError, Where

if TYPE_CHECKING:
    import numpy as np
    import torch

# dtype name -> the attribute of numpy or, failing that, of ml_dtypes. Sub-byte types take a byte an element there.
_NUMPY = {
    "BOOL": "bool_",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "C128": "complex128",
    "BF16": "bfloat16",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
}
_TORCH = {name: attribute for attribute, name in TORCH_NAMES.items() if attribute not in ("half", "float", "double")}


def numpy_dtype(name: str, where: Where) -> np.dtype[Any]:
    """NumPy's type, or that of ml_dtypes.

    Raises:
        NotImplementedByWeightscope: there is none.
    """
    import ml_dtypes
    import numpy as np

    attribute = _NUMPY.get(name)
    if attribute is None:
        raise NotImplementedByWeightscope(
            f"NumPy has no dtype for {name}", where=where, hint="read the values as torch"
        )
    dtype: np.dtype[Any] = np.dtype(getattr(np, attribute, None) or getattr(ml_dtypes, attribute))
    return dtype


def torch_type(where: Where, entry: TensorEntry) -> tuple[torch.dtype, tuple[int, ...]]:
    """The torch dtype, and the shape in its elements: 4-bit floats come packed, two to an element."""
    import torch

    shape = entry.shape
    if entry.dtype == "F4" and shape and shape[-1] % 2 == 0:
        return torch.float4_e2m1fn_x2, (*shape[:-1], shape[-1] // 2)
    if entry.dtype not in _TORCH:
        raise NotImplementedByWeightscope(
            f"torch has no dtype for {entry.dtype}", where=where, hint="read the values as NumPy"
        )
    return getattr(torch, _TORCH[entry.dtype]), shape


def words_of(dtype: str) -> str:
    """A type of the same width that any file's bytes can be read as, and NumPy has: unsigned integers."""
    bits = DTYPE_BITS[dtype]
    return f"U{bits}" if bits in (8, 16, 32, 64) else dtype


def import_numpy() -> None:
    """Have NumPy and ml_dtypes imported before threads read values: two that import them at once get half of them."""
    import ml_dtypes  # noqa: F401 - it imports NumPy


def need_torch(otherwise: str = "") -> None:
    """See that torch can be used; `otherwise` says what can be done without.

    Raises:
        WeightscopeError: it is not installed, or the working directory was deleted.
    """
    need_working_directory()
    try:
        import torch  # noqa: F401 - whoever asks imports it next
    except ImportError:
        raise WeightscopeError("torch is not installed", hint=f"install weightscope-cli[forward]{otherwise}") from None


def need_working_directory() -> None:
    """See that there is one: without it torch's libraries end the process.

    Raises:
        WeightscopeError: it was deleted.
    """
    try:
        Path.cwd()
    except OSError:
        raise WeightscopeError("the working directory was deleted", hint="change to one that exists") from None
