"""What a classifier's scores say, by the names that config.json gives its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.outcome import ClassScore

if TYPE_CHECKING:
    import torch


def class_scores(scores: torch.Tensor, config: Mapping[str, Any]) -> tuple[tuple[ClassScore, ...], ...]:
    """Of scores [N, labels], for each of N the classes, best first.

    Probabilities are a softmax over all classes, or of each by itself where `problem_type` says that several may hold;
    a single class has none.
    """
    several = config.get("problem_type") == "multi_label_classification"
    shares = scores.sigmoid() if several else scores.softmax(-1)
    alone = scores.shape[-1] == 1 and not several
    return tuple(
        tuple(
            ClassScore(
                label=_label(config, place),
                score=float(row[place]),
                probability=None if alone else float(share[place]),
            )
            for place in row.argsort(descending=True).tolist()
        )
        for row, share in zip(scores, shares, strict=True)
    )


def _label(config: Mapping[str, Any], number: int) -> str:
    names = config.get("id2label")
    name = names.get(str(number)) if isinstance(names, dict) else None
    return name if isinstance(name, str) else f"LABEL_{number}"
