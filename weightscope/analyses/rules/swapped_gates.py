"""Gate and up of an MLP in each other's place: fused matrices are split in two orders.

Nothing changes if a row of up and its column of down both change their signs. So training leaves rows of up without a
common direction, while those of gate lean to where the gate is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from weightscope.analyses.held.holdings import Held
from weightscope.analyses.rules.role_weights import RoleWeights, block_of, spread, squares, tensors_of
from weightscope.components.feed_forward.experts import StackedExperts
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.findings import Finding

if TYPE_CHECKING:
    import numpy as np

# So many MLPs are looked at, of so many rows at least.
LAYERS, ROWS = 4, 256
# How much longer the sum of rows is than chance makes it, squared: of gate 6.1 to 41 in each layer of SmolLM2 and 7.9
# to 36 in Gemma 3, of up 0.85 to 1.2 in both.
COMMON = 2.5


def swapped_gates(weights: RoleWeights) -> Iterator[Finding]:
    """`convention-mismatch`, a warning, where up has the common direction that gate should have."""
    pairs = _pairs(weights)
    chosen = spread(pairs, LAYERS)
    if len(chosen) < LAYERS:
        return
    read = [[rows for pair in chosen if (rows := weights.some_rows(pair[side])) is not None] for side in (0, 1)]
    if min(map(len, read)) < LAYERS:
        return
    gate, up = (median(map(_common, matrices)) for matrices in read)
    if up > COMMON and up > COMMON * gate:
        yield Finding(
            code="convention-mismatch",
            severity="warning",
            message="gate_proj and up_proj seem to be swapped: the rows of up_proj have a direction in common "
            f"({up:.2g} times what chance gives), and those of gate_proj should ({gate:.1f} times)",
            tensors=tensors_of([held for pair in pairs for held in pair]),
            hint="swap them, or the halves of the tensor that holds both",
        )


def _pairs(weights: RoleWeights) -> list[tuple[Held, Held]]:
    """Gate and up of each MLP, and of one expert of each mixture."""
    found: dict[str, tuple[Held, Held]] = {}
    for (section, role), gates in weights.by_role.items():
        if role != "gate_proj" or section not in ("mlp", "moe"):
            continue
        ups = {held.address: held for held in weights.by_role.get((section, "up_proj"), [])}
        for gate in gates:
            up = ups.get(f"{gate.address.removesuffix('gate_proj')}up_proj")
            if up is not None and len(gate.shape) == 2 and gate.shape[0] >= ROWS and _is_symmetric(gate):
                found.setdefault(block_of(gate), (gate, up))
    return list(found.values())


def _is_symmetric(held: Held) -> bool:
    """Whether the sign of up does not matter: nothing is added to it."""
    owner = held.owner.expert if isinstance(held.owner, StackedExperts) else held.owner
    return isinstance(owner, GatedMLP) and not owner.lift


def _common(matrix: np.ndarray[Any, Any]) -> float:
    """The squared length of the sum of the rows, each made 1 long, over that of random rows."""
    import numpy as np

    lengths = np.sqrt(squares(matrix, 1))
    there = lengths > 0
    whole = (1 / lengths[there]) @ matrix[there]
    return float(whole @ whole) / max(int(there.sum()), 1)
