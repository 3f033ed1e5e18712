"""A model's weights by role, and their values as they act, for rules that compare weights of one model."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from weightscope.analyses.diff.floats import is_float
from weightscope.analyses.diff.sides import Reader
from weightscope.analyses.held.holdings import Held, Holdings
from weightscope.analyses.rules.subject import Subject
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.values import load_numpy
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.ranges import summed

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

# Of a weight with more elements, so many rows are read at so many places.
LARGE, ROWS, BLOCKS = 1 << 25, 128, 16
# As many places tell how the rows of a matrix vary along its columns.
FEW_BLOCKS = 8


class RoleWeights:
    """A model's weights by role, and their values as they act."""

    def __init__(self, subject: Subject, holdings: Holdings) -> None:
        self._files, self._tensors = subject.checkpoint.files, subject.checkpoint.tensors
        self._reader = Reader(subject.checkpoint, subject.declaration, holdings)
        self.by_role: dict[tuple[str, str], list[Held]] = {}
        for held in holdings.by_address.values():
            if held.key == held.role and held.owner is not None:
                self.by_role.setdefault((held.section, held.role), []).append(held)

    def values(self, held: Held) -> np.ndarray[Any, Any] | None:
        """A weight, or of a large one that lies alone some rows; None if too large, not finite or not readable."""
        entry = self._tensors.get(held.direct)
        try:
            if entry is not None and len(held.shape) == 2 and prod(held.shape) > LARGE:
                values = self._some(entry, BLOCKS)
            elif prod(held.shape) <= LARGE:
                values = self._reader.matrix(held)
            else:
                return None
        except (CheckpointError, NotImplementedByWeightscope):
            return None
        return _sound(values, held)

    def some_rows(self, held: Held) -> np.ndarray[Any, Any] | None:
        """Some rows of a matrix that lies alone, else all that `values` gives."""
        entry = self._tensors.get(held.direct)
        if entry is None or held.shape[0] <= ROWS * FEW_BLOCKS:
            return self.values(held)
        try:
            return _sound(self._some(entry, FEW_BLOCKS), held)
        except (CheckpointError, NotImplementedByWeightscope):
            return None

    def _some(self, entry: TensorEntry, blocks: int) -> np.ndarray[Any, Any]:
        import numpy as np

        firsts = range(0, entry.shape[0], max(ROWS, entry.shape[0] // blocks))
        rows = [load_numpy(self._files, entry, slice(first, first + ROWS)) for first in firsts]
        values = np.concatenate(rows)
        return values.astype(np.float32) if is_float(values.dtype) else values


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """So many items at most, from all over the sequence."""
    return items[:: max(1, len(items) // most)][:most]


def squares(matrix: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """Sums of squares along an axis of a matrix, without another of its size in memory."""
    import numpy as np

    sums: np.ndarray[Any, Any] = np.einsum("ij,ij->i" if axis else "ij,ij->j", matrix, matrix)
    return sums


def block_of(held: Held) -> str:
    """The layer that a weight is in, as its address has it: `layers.3` of `layers.3.attention.q_proj`."""
    return held.address.rpartition(".")[0].rpartition(".")[0]


def tensors_of(members: Sequence[Held]) -> tuple[str, ...]:
    """The tensors of weights, in few titles."""
    return tuple(summed(dict.fromkeys(name for held in members for name in held.names)))


def _sound(values: np.ndarray[Any, Any], held: Held) -> np.ndarray[Any, Any] | None:
    import numpy as np

    # What has another shape than declared is a finding of another rule.
    fits = values.dtype.kind == "f" and values.shape[1:] == held.shape[1:]
    return values if fits and np.isfinite(values).all() else None
