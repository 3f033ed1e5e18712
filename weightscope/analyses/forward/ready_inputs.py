"""Inputs of a vision-language model that are ready: a .npz file of arrays under the names of the model's processor."""

from __future__ import annotations

import warnings
import zipfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.expected_logits import MAX_HEADER
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

MAX_ARRAYS = 16
# Of all arrays together, once they are unpacked.
MAX_BYTES = 1_000_000_000


def read_inputs(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a .npz file by their names; its members are bounded before NumPy reads them.

    Raises:
        UsageError: it cannot be read, or holds something else than a few arrays of numbers.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")
            members = archive.infolist()
            if len(members) > MAX_ARRAYS:
                raise ValueError(f"it contains {len(members):,} files; the limit is {MAX_ARRAYS}")
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise ValueError(f"its arrays take over {MAX_BYTES:,} bytes")
            found = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    # zipfile and NumPy, which reads headers as Python, have errors of many kinds.
    except Exception as error:  # noqa: BLE001
        hint = "write one with numpy.savez"
        raise UsageError(f"cannot be read as inputs ({error})", where=path, hint=hint) from None
    return found


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    """One array; its header is held against the member's size before memory is taken for it."""
    import numpy as np

    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in headers:
            raise ValueError(f"{member.filename!r:.80} has format version {version}")
        shape, fortran, dtype = headers[version](file, max_header_size=MAX_HEADER)
        if dtype.kind not in "fiub":
            raise ValueError(f"{member.filename!r:.80} does not contain numbers")
        if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename!r:.80} is shorter than its shape {list(shape)!s:.80}")
        raw = file.read(prod(shape) * dtype.itemsize)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C").copy()
