"""Which weights share a scale, told by the shapes of weight and scales alone."""

from __future__ import annotations

from math import prod

from weightscope.quantization.common.grain import Grain
from weightscope.sizes import Size

# Sizes of groups and blocks that writers use.
GROUPS = (16, 32, 64, 128, 256)
CANDIDATES = (
    Grain(1, 0),
    *(Grain(1, columns) for columns in GROUPS),
    *(Grain(size, size) for size in GROUPS),
)


def grain_of(weight: tuple[int, ...], scales: tuple[int, ...]) -> Grain | None:
    """The grain of a matrix whose scales have that shape; None where none fits, or several that mean different things.

    A matrix that is one block of several sizes alike is told the same by each.
    """
    if len(weight) != 2:
        return None
    if prod(scales) == 1:
        return Grain()
    sizes = tuple(map(Size, weight))
    found = [
        grain
        for grain in CANDIDATES
        if scales in (tuple(map(int, shape)) for shape in (grain.shape(sizes), *grain.other_shapes(sizes)))
    ]
    meanings = {_meaning(grain, weight) for grain in found}
    return found[0] if len(meanings) == 1 else None


def _meaning(grain: Grain, weight: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns that share a scale, none more than there are."""
    rows, columns = weight
    return min(grain.rows or rows, rows), min(grain.columns or columns, columns)
