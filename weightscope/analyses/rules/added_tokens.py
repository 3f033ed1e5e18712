"""Tokens that were added to a vocabulary, and whose embeddings were never trained: all rows are alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.vocabulary import added_ids
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.checkpoint.values import load_numpy
from weightscope.errors import CheckpointError
from weightscope.findings import Finding

if TYPE_CHECKING:
    import numpy as np

# Added tokens over a longer range are not judged, to bound memory; of the others so many rows are enough.
MOST = 1024
# Distances between the added rows, as a share of those between others: 0 if all are one row, 3e-5 as transformers draws
# them around the mean. Of two trained neighbours it is at least 0.55 in SmolLM2's last 1,000 rows, 0.24 in MiniLM's.
ALIKE = 0.01


def equal_added_tokens(subject: Subject) -> Iterator[Finding]:
    """`convention-mismatch`, a warning: two or more tokens beyond the tokenizer's own vocabulary have the same row."""
    import numpy as np

    if subject.directory is None or subject.declaration is None or not subject.checkpoint.files:
        return
    added = added_ids(subject.directory)
    if len(added) < 2:
        return
    tables = [held for held in subject.holdings.by_address.values() if held.key == held.role == "token_embedding"]
    if len(tables) != 1 or tables[0].direct not in subject.checkpoint.tensors or tables[0].dtype not in FLOATS:
        return
    (table,) = tables
    ids = [number for number in added if number < table.shape[0]]
    first = ids[0] if ids else 0
    if len(ids) < 2 or first < 2 or ids[-1] - first >= MOST:
        return

    def rows(start: int, stop: int) -> np.ndarray[Any, Any]:
        entry = subject.checkpoint.tensors[table.direct]
        return load_numpy(subject.checkpoint.files, entry, slice(start, stop)).astype(np.float64)

    try:
        theirs, others = rows(first, ids[-1] + 1)[np.array(ids) - first], rows(max(0, first - MOST), first)
    except CheckpointError:
        return
    spread, usual = _spread(theirs), _spread(others)
    if usual > 0 and spread < ALIKE * usual:
        yield Finding(
            code="convention-mismatch",
            severity="warning",
            message=f"token_embedding: the rows of all {len(ids):,} added tokens (ids {ids[0]:,} to {ids[-1]:,}) are "
            f"alike: they differ {spread / usual:.2g} times as much as other rows do",
            tensors=(table.direct,),
            hint="these tokens were added and not trained: train them, or do not use them",
        )


def _spread(rows: np.ndarray[Any, Any]) -> float:
    """The root mean square of distances to the mean row; NaN if a value is not finite."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.sqrt(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean()))
