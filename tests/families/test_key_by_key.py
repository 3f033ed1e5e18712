"""Each key of each declared type's config class changed alone: we say what transformers says, or refuse by name."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.families.key_oracle import compare
from tests.families.key_tables import DELIBERATE, REFUSED, expected
from tests.families.keys import Change, changes_of, types
from weightscope.families.registry import find_family

# WEIGHTSCOPE_KEYS=all tries every change; else as many of each type as SAMPLE, the same ones each time.
WHOLE = os.environ.get("WEIGHTSCOPE_KEYS") == "all"
SAMPLE = 8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def chosen(model_type: str) -> list[Change]:
    changes = changes_of(model_type)
    if WHOLE:
        return list(changes)
    return random.Random(model_type).sample(changes, min(SAMPLE, len(changes)))


@pytest.mark.parametrize("model_type", types())
def test_each_key_alone(model_type: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for change in chosen(model_type):
        outcome = compare(change, tmp_path / "model")
        counts[outcome.verdict] += 1
        if outcome.verdict in ("agrees", "skipped"):
            continue
        if not expected(model_type, change, outcome):
            wrong.append(f"{change.tiny.name} ({change.base}) {change.key} = {outcome.value!r}: {outcome.verdict}: "
                         f"{outcome.detail}")  # fmt: skip
    for verdict, count in counts.items():
        record_property(verdict, count)
    assert not wrong, f"{len(wrong)} of {sum(counts.values())} changes:\n" + "\n".join(wrong)
    assert counts["agrees"] > counts["skipped"] / 4


def test_tables_name_declared_types() -> None:
    named = {model_type for model_type, _ in (*REFUSED, *DELIBERATE)}
    assert {model_type for model_type in named - {"*"} if find_family(model_type) is None} == set()
