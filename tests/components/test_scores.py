"""How scores are said as maths."""

from __future__ import annotations

import pytest

from weightscope.components.attention.scores import Scores


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (Scores(), "q·kᵀ/√64"),
        (Scores(scale=0.125), "q·kᵀ/√64"),
        (Scores(scale=1.0), "q·kᵀ·1"),
        (Scores(scale=0.125 / 3), "q·kᵀ·0.04167"),
        (Scores(cap=50.0), "cap(q·kᵀ/√64, 50)"),
        (Scores(sinks="sinks"), "[q·kᵀ/√64 | sink]"),
    ],
)
def test_words(scores: Scores, said: str) -> None:
    assert scores.words(64) == said
