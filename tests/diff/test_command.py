"""`weightscope diff` as a person or a script meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weightscope", "diff", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The fixture with one matrix doubled."""
    shutil.copytree(ROOT / "fixtures" / "llama", tmp_path / "other")
    for file in (tmp_path / "other").glob("*.safetensors"):
        tensors = load_file(file)
        name = "model.layers.1.mlp.up_proj.weight"
        if name in tensors:
            tensors[name] = 2 * tensors[name]
            save_file(tensors, file)
    return tmp_path / "other"


def test_the_verdict_alone_and_the_exit_code(other: Path) -> None:
    same = run("fixtures/llama", "fixtures/llama", "--values", "-q")
    assert (same.stdout, same.returncode) == ("identical\n", 0)
    changed = run("fixtures/llama", str(other), "--values", "-q")
    assert changed.stdout.startswith("a fine-tune: 1 of 30 weights changed by 100 % of their norm")
    assert changed.returncode == 1


def test_json(other: Path) -> None:
    shown = json.loads(run("fixtures/llama", str(other), "--values", "--json").stdout)
    (value,) = (value for value in shown["values"] if value["differing"])
    assert value["address"] == "layers.1.mlp.up_proj"
    assert (value["relative"], value["cosine"]) == (1.0, pytest.approx(1))
    assert shown["schema_version"] == 1
    assert shown["verdict"]["kind"] == "fine-tune"


def test_logits_against_transformers(other: Path) -> None:
    tokens = [3, 1, 4, 1, 5]
    shown = json.loads(run("fixtures/llama", str(other), "--tokens", "3,1,4,1,5", "--json").stdout)["forward"]
    models = [
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for folder in (ROOT / "fixtures/llama", other)
    ]
    with torch.no_grad():
        a, b = (model(torch.tensor([tokens])).logits[0].double() for model in models)
    assert shown["largest"] == pytest.approx(float((a - b).abs().max() / a.square().mean().sqrt()), rel=1e-3)
    assert shown["nmse"] == pytest.approx(float((a - b).square().sum() / a.square().sum()), rel=1e-3)
    kl = torch.nn.functional.kl_div(b.log_softmax(-1), a.log_softmax(-1), log_target=True, reduction="batchmean")
    assert shown["kl"] == pytest.approx(float(kl), rel=1e-3)
    assert shown["top1"] == float((a.argmax(-1) == b.argmax(-1)).double().mean())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fixtures/llama", "nowhere/at/all"), "no such"),
        (("fixtures/llama", "fixtures/llama/config.json", "--values"), "--values needs weights"),
        (("fixtures/llama", "fixtures/llama", "--tokens", "1", "--prompt", "a"), "mutually exclusive"),
    ],
)
def test_what_cannot_be_done(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
