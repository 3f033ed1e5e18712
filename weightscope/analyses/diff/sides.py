"""One side of a comparison: a model's weights by address, and their values in runs of a fixed length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from weightscope.analyses.adapting.overlay import Overlay
from weightscope.analyses.diff.floats import is_float
from weightscope.analyses.held.acting import Acting
from weightscope.analyses.held.holdings import Held, Holdings, Reading, Unit
from weightscope.analyses.tying import equal_bytes
from weightscope.checkpoint.array_types import need_torch, numpy_dtype
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import PiecedEntry, TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import load_numpy, read_chunks
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.dequantizing import Multiplies
from weightscope.roles import Role

if TYPE_CHECKING:
    import numpy as np
    import torch

# Elements that are compared at once: their float64 numbers stay in the cache of a core, and take half the time.
RUN = 1 << 16
# NumPy has no complex number of two float16.
HALVES = {"C32": "F16"}


class Reader:
    """The values of one side's weights. Of a fused tensor, what was read last is kept for its other roles."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        declaration: Declaration | None,
        holdings: Holdings,
        overlay: Overlay | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._settings = declaration.config.data.get("quantization_config") if declaration else None
        self._acting = Acting(checkpoint, declaration)
        self._adapted = _adapted(checkpoint, declaration, overlay) if declaration and overlay else None
        self._unit_of = {held.address: unit for unit in holdings.units for held in unit.held}
        self._equal: dict[tuple[str, str], bool] = {}
        self._last: tuple[Unit, Mapping[str, torch.Tensor]] | None = None

    def is_stored_like(self, held: Held, other: Reader, theirs: Held) -> bool:
        """Whether a quantized weight lies in tensors with the same bytes, which its settings read in the same way."""
        if held.scheme != theirs.scheme or self._settings != other._settings:
            return False
        mine, others = self._stored(held), other._stored(theirs)
        return len(mine) == len(others) and all(
            self._is_equal(one, other, two) for one, two in zip(mine, others, strict=True)
        )

    def _is_equal(self, name: str, other: Reader, theirs: str) -> bool:
        # A tensor of many experts is compared once.
        if (name, theirs) not in self._equal:
            self._equal[name, theirs] = equal_bytes(self._checkpoint, name, theirs, of=other._checkpoint)
        return self._equal[name, theirs]

    def _stored(self, held: Held) -> list[str]:
        """The tensors that stand for a weight, those that are there."""
        names, scheme = [*held.names], held.scheme
        if scheme is not None and isinstance(scheme, Multiplies):
            names.append(scheme.multiplies_input(held.before))
        return [name for name in names if name in self._checkpoint.tensors]

    def runs(self, held: Held) -> Iterator[np.ndarray[Any, Any]]:
        """All values in row-major order, `RUN` at a time, in the stored type or as float32."""
        entry = self._checkpoint.tensors.get(held.direct)
        if entry is None or neighbours_of(held) or not _lies_in_order(entry):
            whole = self.matrix(held).reshape(-1)
            yield from (whole[start : start + RUN] for start in range(0, whole.size, RUN))
            return
        dtype = numpy_dtype(HALVES.get(entry.dtype, entry.dtype), self._checkpoint.path)
        for raw in read_chunks(self._checkpoint.files, entry, RUN * dtype.itemsize):
            yield raw.view(dtype)

    def matrix(self, held: Held) -> np.ndarray[Any, Any]:
        """The whole weight, in its own shape, as float32 or in the stored type where that is wider.

        Rows that turn by their position in pairs of neighbours come in the order of halves, as other forms have them.
        """
        return in_halves(self._read(held), held)

    def _read(self, held: Held) -> np.ndarray[Any, Any]:
        if held.direct:
            stored = load_numpy(self._checkpoint.files, self._checkpoint.tensors[held.direct])
            return stored.astype("f4") if is_float(stored.dtype) and stored.dtype.itemsize < 4 else stored
        need_torch()
        unit = self._unit_of[held.address]
        if self._last is None or self._last[0] is not unit:
            self._last = (unit, self._read_unit(unit))
        tensor = self._last[1][held.key]
        array: np.ndarray[Any, Any] = tensor.to(_wide(tensor)).contiguous().numpy()
        return array

    def _read_unit(self, unit: Unit) -> Mapping[str, torch.Tensor]:
        """All roles of a unit; of two models, an error says which one it is of."""
        try:
            return unit.read(self._adapted or self._acting)
        except (CheckpointError, NotImplementedByWeightscope) as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            raise type(error)(what, where=self._checkpoint.path, hint=error.hint, code=error.code) from None


def _lies_in_order(entry: TensorEntry) -> bool:
    """Whether its elements are whole bytes that lie one after another."""
    return entry.strides is None and not isinstance(entry, PiecedEntry) and DTYPE_BITS[entry.dtype] >= 8


def neighbours_of(held: Held) -> int:
    """How many rows of each head turn in pairs of neighbours; 0 of what does not turn so."""
    return held.owner.turned_in_neighbours(Role(held.role)) if held.owner and held.role else 0


def in_halves(values: np.ndarray[Any, Any], held: Held) -> np.ndarray[Any, Any]:
    """Rows that turn in pairs of neighbours, those that come first in each pair before the others."""
    turned = neighbours_of(held)
    heads = held.owner.heads_of(Role(held.role)) if held.owner and turned else 0
    if not heads or values.shape[0] % heads or values.shape[0] // heads < turned:
        return values
    import numpy as np

    size = values.shape[0] // heads
    order = [*range(0, turned, 2), *range(1, turned, 2), *range(turned, size)]
    return np.ascontiguousarray(values.reshape(heads, size, *values.shape[1:])[:, order]).reshape(values.shape)


def _adapted(checkpoint: Checkpoint, declaration: Declaration, overlay: Overlay) -> Reading:
    """The weights with what adapters do to them, as a pass reads them."""
    need_torch()
    import torch

    from weightscope.analyses.forward.adapted import AdaptedReader
    from weightscope.analyses.forward.stream import Stream

    cpu = torch.device("cpu")
    return AdaptedReader(Stream(checkpoint, declaration, cpu), overlay, cpu)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    """A type of NumPy's that holds all of a tensor's numbers."""
    import torch

    if tensor.dtype.is_complex:
        return torch.complex128
    return torch.float32 if tensor.dtype.is_floating_point and tensor.dtype.itemsize < 8 else torch.float64
