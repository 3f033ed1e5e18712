"""Square matrices of attention that are stored transposed, which their shape does not tell.

Some numbers of a layer's input are larger than others, in all matrices that read it or add to it. So the columns of
q_proj, and the rows of o_proj, have sizes that follow those of up_proj's columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from weightscope.analyses.held.holdings import Held
from weightscope.analyses.rules.role_weights import RoleWeights, block_of, spread, squares, tensors_of
from weightscope.findings import Finding

if TYPE_CHECKING:
    import numpy as np

# Of models with so many layers at least, and of such a width, so many layers are looked at.
LAYERS, WIDTH, SOME = 4, 256, 6
# The axis of a matrix along which the numbers of the residual stream lie.
AXES = {"q_proj": 1, "k_proj": 1, "v_proj": 1, "o_proj": 0}
# How well the sizes along that axis follow those of up_proj's columns, as a correlation, and along the other: 0.34 and
# 0.10 or better in MiniLM, 0.22 and 0.04 or better in SmolLM2 (root mean squares over the layers).
FOLLOWS, TIMES = 0.15, 1.8


def transposed(weights: RoleWeights) -> Iterator[Finding]:
    """`convention-mismatch`, a warning for each role whose sizes follow those of up along the wrong axis."""
    ups = {block_of(held): held for held in weights.by_role.get(("mlp", "up_proj"), [])}
    sizes: dict[str, np.ndarray[Any, Any] | None] = {}
    for role, axis in AXES.items():
        squares = [held for held in weights.by_role.get(("attention", role), []) if _is_square(held, ups)]
        chosen = spread(squares, SOME)
        if len(chosen) < LAYERS:
            continue
        for block in map(block_of, chosen):
            if block not in sizes:
                up = weights.some_rows(ups[block])
                sizes[block] = None if up is None else _sizes(up, 0)
        right, wrong = _follow(weights, chosen, sizes, axis)
        if wrong > FOLLOWS and wrong > TIMES * right:
            should, does = ("rows", "columns") if axis == 0 else ("columns", "rows")
            yield Finding(
                code="convention-mismatch",
                severity="warning",
                message=f"{role} seems to be stored transposed: the sizes of its {does} follow those of up_proj's "
                f"columns (correlation {wrong:.2f}), and those of its {should} do less ({right:.2f})",
                tensors=tensors_of(squares),
                hint="transpose these matrices: most models store (out, in)",
            )


def _is_square(held: Held, ups: dict[str, Held]) -> bool:
    up = ups.get(block_of(held))
    width = held.shape[0]
    return up is not None and held.shape == (width, width) and width >= WIDTH and up.shape[1:] == (width,)


def _follow(
    weights: RoleWeights, chosen: Sequence[Held], sizes: dict[str, np.ndarray[Any, Any] | None], axis: int
) -> tuple[float, float]:
    """Root mean squares of the correlations along the axis of a role, and along the other."""
    import numpy as np

    found = []
    for held in chosen:
        matrix, up = weights.values(held), sizes[block_of(held)]
        if matrix is None or up is None or matrix.shape != held.shape:
            return 0.0, 0.0
        along = [_sizes(matrix, 1 - axis), _sizes(matrix, axis)]
        if not all(np.ptp(one) for one in (*along, up)):
            return 0.0, 0.0
        found.append([float(np.corrcoef(one, up)[0, 1]) for one in along])
    right, wrong = np.sqrt(np.square(found).mean(axis=0)).tolist()
    return right, wrong


def _sizes(matrix: np.ndarray[Any, Any], summed_over: int) -> np.ndarray[Any, Any]:
    """Logarithms of the lengths of rows or columns."""
    import numpy as np

    sizes: np.ndarray[Any, Any] = np.log(np.maximum(squares(matrix, summed_over), 1e-30)) / 2
    return sizes
