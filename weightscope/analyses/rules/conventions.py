"""Faults of convention: what names, shapes and dtypes cannot tell, and one look at the values can.

Each rule compares weights with others of the same model. Limits were chosen on SmolLM2 135M and hold with a factor of
two or more on Gemma 3 270M, or the other way round; the comments beside them give the figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from weightscope.analyses.held.holdings import Held
from weightscope.analyses.rules.role_weights import RoleWeights, squares, tensors_of
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.swapped_gates import swapped_gates
from weightscope.analyses.rules.transposed import transposed
from weightscope.findings import Finding
from weightscope.roles import Role

# Norms of so many layers, with so many values together, tell of their role.
LAYERS, VALUES = 3, 500
# Of Gemma 3's norms at least 0.22 times as many stored weights are between -1 and 0 as between 0 and 2. With 1 added to
# them it is at most 0.025.
BELOW_ZERO = 0.08
# Of norms without an offset at most 1.6 % are negative (SmolLM2); with 1 taken off, 99 % are.
NEGATIVE = 0.5
# So many layers are looked at for the order of rows, and so many pairs of rows are enough.
SOME, PAIRS = 8, 512
# The mean of log(differences between halves / between neighbours): 0.14 in SmolLM2 and 0.05 in Gemma 3, and 1.6 and 0.7
# once their rows are permuted.
HALVES = 0.4
# An untrained head's rows have norms as even as chance makes them, 1.0, and its values a kurtosis of 3. Trained
# matrices: a median of 3.8 or more over those of a model; single ones go down to 1.2.
EVEN, KURTOSIS, TRAINED = (0.9, 1.1), (2.9, 3.1), 2.0


def broken_conventions(subject: Subject) -> Iterator[Finding]:
    """`convention-mismatch`, a warning: norms with a wrong offset, rotated rows in a wrong order, an untrained head,
    gate and up swapped, square matrices transposed.
    """
    if subject.declaration is None or not subject.checkpoint.files or not subject.complete:
        return
    holdings = subject.holdings
    if any(held.scheme is not None or not held.direct for held in holdings.by_address.values()) and not _has_torch():
        return
    weights = RoleWeights(subject, holdings)
    yield from _norm_offsets(weights)
    yield from _rotary_order(weights)
    yield from _untrained_head(weights)
    yield from swapped_gates(weights)
    yield from transposed(weights)


def _norm_offsets(weights: RoleWeights) -> Iterator[Finding]:
    """Norms whose stored weights are off by the 1 that the model adds, or does not add, to them."""
    import numpy as np

    for (_, role), members in weights.by_role.items():
        vectors = [held for held in members if len(held.shape) == 1 and "norm" in role and held.layer is not None]
        read = [values for held in vectors if (values := weights.values(held)) is not None and np.ptp(values) > 0]
        if len(read) < LAYERS or sum(values.size for values in read) < VALUES:
            continue
        whole = np.concatenate(read)
        whole = whole[whole != 0]
        added = _added(vectors[0])
        if added == 1:
            below, above = (float(((whole >= low) & (whole < high)).mean()) for low, high in ((-1, 0), (0, 2)))
            if above >= 0.05 and below < BELOW_ZERO * above:
                yield _offset(role, vectors, f"{below * 100:.2g} % of its stored weights are between -1 and 0, and "
                              f"{above * 100:.2g} % between 0 and 2", "already added")  # fmt: skip
        elif added == 0 and float((whole < 0).mean()) > NEGATIVE and -1 < float(np.median(whole)) < 0:
            share = f"{float((whole < 0).mean()) * 100:.3g} % of its weights are negative"
            yield _offset(role, vectors, share, "taken off")


def _added(held: Held) -> float:
    return held.owner.added_to(Role(held.role)) if held.owner else 0.0


def _offset(role: str, members: Sequence[Held], share: str, what: str) -> Finding:
    does = "adds 1 to them" if what == "already added" else "adds nothing to them"
    return Finding(
        code="convention-mismatch",
        severity="warning",
        message=f"{role}: the weights of these norms seem to have 1 {what}: {share}, and the model {does}",
        tensors=tensors_of(members),
        hint="compare with the original model, or run `weightscope forward --expect` with known logits",
    )


def _rotary_order(weights: RoleWeights) -> Iterator[Finding]:
    """Rows of queries and keys whose neighbours are as alike as pairs that turn together should be."""
    ratios: list[float] = []
    members: list[Held] = []
    for role in ("q_proj", "k_proj"):
        held = [h for h in weights.by_role.get(("attention", role), []) if len(h.shape) == 2 and _turned(h)]
        found = _apart(weights, held[:: max(1, len(held) // SOME)])
        if found is None:
            return
        ratios.append(found)
        members += held
    mean = sum(ratios) / len(ratios)
    if mean > HALVES:
        yield Finding(
            code="convention-mismatch",
            severity="warning",
            message="q_proj, k_proj: rows seem to be in the order of another rotary embedding: norms of rows that turn "
            f"together differ {math.exp(mean):.2g} times as much as those of neighbours (mean square of logarithms)",
            tensors=tensors_of(members),
            hint="permute the rows of each head from pairs of neighbours to pairs of halves, as converters of Llama do",
        )


def _turned(held: Held) -> int:
    return held.owner.turned(Role(held.role)) if held.owner else 0


def _apart(weights: RoleWeights, members: Sequence[Held]) -> float | None:
    """log(mean square between halves / between neighbours) of the logarithms of row norms; None if too few."""
    import numpy as np

    halves = neighbours = 0.0
    pairs = 0
    for held in members:
        matrix, turned = weights.values(held), _turned(held)
        heads = held.owner.heads_of(Role(held.role)) if held.owner else 0
        if matrix is None or not heads or matrix.shape[0] % heads or turned % 2:
            continue
        norms = np.sqrt(squares(matrix, 1)).reshape(heads, -1)[:, :turned]
        if norms.shape[1] < turned or not norms.all():
            continue
        logs = np.log(norms)
        halves += float(np.square(logs[:, : turned // 2] - logs[:, turned // 2 :]).sum())
        neighbours += float(np.square(logs[:, 0::2] - logs[:, 1::2]).sum())
        pairs += norms.size // 2
    return math.log(halves / neighbours) if pairs >= PAIRS and halves and neighbours else None


def _untrained_head(weights: RoleWeights) -> Iterator[Finding]:
    """A head with values of chance where the other matrices are trained."""
    heads = [held for held in weights.by_role.get(("head", "lm_head"), []) if len(held.shape) == 2]
    others = [h for members in weights.by_role.values() for h in members if h.layer is not None and len(h.shape) == 2]
    if len(heads) != 1 or len(others) < SOME:
        return
    head = _chance(weights, heads[0])
    if head is None or not (EVEN[0] < head[0] < EVEN[1] and KURTOSIS[0] < head[1] < KURTOSIS[1]):
        return
    rest = [found[0] for held in others[:: len(others) // SOME] if (found := _chance(weights, held)) is not None]
    if rest and sorted(rest)[len(rest) // 2] >= TRAINED:
        yield Finding(
            code="convention-mismatch",
            severity="warning",
            message=f"lm_head looks untrained: the norms of its rows vary {head[0]:.2f} times as much as by chance, "
            f"those of other matrices {sorted(rest)[len(rest) // 2]:.1f} times",
            tensors=tensors_of(heads),
            hint="the head was initialized anew; take it from the original model, or tie it to the token embedding",
        )


def _chance(weights: RoleWeights, held: Held) -> tuple[float, float] | None:
    """How uneven row norms are, in units of what chance makes them, and the kurtosis of the values."""
    import numpy as np

    matrix = weights.values(held)
    if matrix is None or min(matrix.shape) < 32 or not matrix.std():
        return None
    norms = np.sqrt(squares(matrix, 1))
    uneven = float(norms.std() / norms.mean() * math.sqrt(2 * matrix.shape[1]))
    centred = np.square(matrix - matrix.mean())
    return uneven, float(np.square(centred).mean() / np.square(centred.mean()))


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None
