"""How near the vectors of several texts are to each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from weightscope.analyses.forward.outcome import Similarity

if TYPE_CHECKING:
    import torch


def similarities(vectors: Sequence[torch.Tensor]) -> tuple[Similarity, ...]:
    """The cosine of each pair, in order."""
    import torch

    cosine = torch.nn.functional.cosine_similarity
    return tuple(
        Similarity(first=i + 1, second=j + 1, cosine=float(cosine(vectors[i], vectors[j], dim=0)))
        for i, j in combinations(range(len(vectors)), 2)
    )
