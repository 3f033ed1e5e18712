"""Weights damaged in the ways that happen: each verdict of the pass, and none on a sound model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.analyses.forward.soundness import judge
from weightscope.findings import FORWARD_CODES

TOKENS = "7,3,99,0,42"
Run = Callable[..., tuple[int, str, str]]


def _set(name: str, value: float, at: tuple[int, ...] | None = None) -> Any:
    def change(state: dict[str, torch.Tensor]) -> None:
        if at is None:
            state[name].fill_(value)
        else:
            state[name][at] = value

    return change


MLP = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("model", "change", "code", "words"),
    [
        ("llama", _set(MLP, math.nan, (3, 5)), "non-finite", f"layer 1 mlp outputs NaN or infinity: {MLP} contains"),
        ("llama", _set(MLP, math.inf, (0, 0)), "non-finite", f"{MLP} contains such values"),
        ("llama", _set(MLP, 1e30, (3, 5)), "exploding-magnitude", "layer 1 mlp outputs values up to"),
        ("llama", _set("model.norm.weight", 1e12), "exploding-magnitude", "final norm outputs values up to"),
        (
            "llama",
            _set("model.embed_tokens.weight", 0.0),
            "constant-output",
            "token embedding is zero for all",
        ),
        ("llama", _set("model.norm.weight", 0.0), "constant-output", "the output of final norm is zero for all"),
        (
            "llama",
            _set("lm_head.weight", 0.0),
            "constant-output",
            "logits is zero for all 5 different tokens",
        ),
        (
            "gpt2",
            _set("transformer.wte.weight", 0.25),
            "constant-output",
            "token embedding is the same for",
        ),
        ("gpt2", _set("transformer.ln_f.weight", 0.0), "constant-output", "the output of final norm is the same for"),
    ],
)
def test_damage_is_found(
    model: str, change: Any, code: str, words: str, changed: Callable[..., Path], run: Run
) -> None:
    status, out, error = run("forward", changed(model, change), "--tokens", TOKENS, "--format", "json")
    assert (status, error) == (1, "")
    outcome = json.loads(out)
    (finding,) = outcome["findings"]
    assert (finding["code"], finding["severity"], outcome["ok"]) == (code, "error", False)
    import re

    assert re.search(words, finding["message"])
    assert finding["tensors"]


def test_a_scale_that_is_none_is_named(run: Run, tmp_path: Path) -> None:
    """The packed weight itself is finite."""
    import shutil

    directory = tmp_path / "deepseek-v3"
    shutil.copytree(Path(__file__).parents[2] / "fixtures" / "deepseek-v3", directory)
    state = load_file(directory / "model.safetensors")
    name = "model.layers.1.self_attn.o_proj.weight_scale_inv"
    state[name][0, 0] = math.nan
    save_file(state, directory / "model.safetensors")
    _, out, _ = run("forward", directory, "--tokens", TOKENS, "--format", "json")
    (finding,) = json.loads(out)["findings"]
    assert finding["message"] == f"layer 1 attention outputs NaN or infinity: {name} contains such values"


@pytest.mark.parametrize("matrix", ["q_proj", "k_proj", "v_proj"])
@pytest.mark.parametrize("tokens", ["5", "5,6,7", ",".join(map(str, range(40)))])
def test_what_is_not_a_number_shows_in_attention(
    matrix: str, tokens: str, changed: Callable[..., Path], run: Run
) -> None:
    """torch's kernel for CPUs makes zeros of such queries where tokens are few (2.13)."""
    name = f"model.layers.1.self_attn.{matrix}.weight"
    directory = changed("llama", _set(name, math.nan))
    code, out, _ = run("forward", directory, "--tokens", tokens, "--format", "json")
    (finding,) = json.loads(out)["findings"]
    assert code == 1
    assert finding["message"] == f"layer 1 attention outputs NaN or infinity: {name} contains such values"


def test_overflow_is_told_from_damage(changed: Callable[..., Path], run: Run) -> None:
    """Finite weights, and values that overflow further on: both the cause and the first stage that shows it."""
    directory = changed("llama", _set("model.norm.weight", 1e38))
    status, out, _ = run("forward", directory, "--tokens", TOKENS, "--format", "json")
    broken, exploding = json.loads(out)["findings"]
    assert (status, broken["code"], exploding["code"]) == (1, "non-finite", "exploding-magnitude")
    assert broken["message"] == "logits outputs NaN or infinity: the tensors that it reads contain none"
    assert exploding["message"].startswith("final norm outputs values up to")


def test_growth_is_found_where_no_magnitude_is_beyond_measure(changed: Callable[..., Path], run: Run) -> None:
    def grow(state: dict[str, torch.Tensor]) -> None:
        state["model.embed_tokens.weight"] *= 1e-3
        state["model.layers.0.self_attn.o_proj.weight"] *= 1e4

    status, out, _ = run("forward", changed("llama", grow), "--tokens", TOKENS, "--format", "json")
    (finding,) = json.loads(out)["findings"]
    assert (status, finding["code"]) == (1, "exploding-magnitude")
    assert "layer 0 attention" in finding["message"]
    assert "times the stage before it" in finding["message"]


@pytest.mark.parametrize("name", ["llama", "gpt2", "deepseek_v3", "gemma2", "bloom", "mixtral", "phi3", "gpt_neox"])
def test_sound_models_are_sound(name: str, saved: Callable[[str], Path], run: Run) -> None:
    status, out, error = run("forward", saved(name), "--tokens", TOKENS, "--format", "json")
    outcome = json.loads(out)
    assert (status, error, outcome["findings"], outcome["ok"], outcome["finite"]) == (0, "", [], True, True)
    assert outcome["checked"] == ["finite values", "magnitudes", "dependence on the input"]


def test_the_input_is_not_judged_by_one_token(changed: Callable[..., Path], run: Run) -> None:
    directory = changed("llama", _set("lm_head.weight", 0.0))
    _, out, _ = run("forward", directory, "--tokens", "5,5", "--format", "json")
    assert "dependence on the input" not in json.loads(out)["checked"]


@pytest.mark.parametrize(("factor", "ok"), [(0.0, True), (60.0, False)])
def test_loss_on_text(factor: float, ok: bool, with_tokenizer: Path, run: Run) -> None:
    """A random head with logits far apart predicts worse than a uniform guess; nothing else is wrong with it."""
    path = with_tokenizer / "model-00004-of-00004.safetensors"
    state = load_file(path)
    state["lm_head.weight"] *= factor
    if not factor:
        # Byte by byte the sentence is likelier when its own bytes score higher than others.
        state["lm_head.weight"] = torch.zeros_like(state["lm_head.weight"])
        state["lm_head.weight"][:, 0] = torch.linspace(0, 1e-3, 256).to(torch.bfloat16)
    save_file(state, path)
    status, out, _ = run("forward", with_tokenizer, "--prompt", "All work and no play.", "--format", "json")
    outcome = json.loads(out)
    codes = [finding["code"] for finding in outcome["findings"]]
    assert outcome["predictions"] == 20
    assert outcome["checked"][-1] == "loss on text"
    assert outcome["perplexity"] == pytest.approx(math.exp(outcome["loss"]))
    if ok:
        assert outcome["loss"] == pytest.approx(math.log(256), abs=0.01)
    else:
        assert (status, codes) == (1, ["uniform-loss"])
        assert outcome["loss"] > math.log(256)
    # The same ids as ids are not judged: they may mean anything.
    ids = ",".join(map(str, outcome["token_ids"]))
    assert (
        "loss on text"
        not in json.loads(run("forward", with_tokenizer, "--tokens", ids, "--format", "json")[1])["checked"]
    )


def test_every_code_of_the_pass_is_found_by_a_test() -> None:
    """`output-mismatch` is in test_expect.py."""
    text = Path(__file__).read_text()
    assert {code for code in FORWARD_CODES if f'"{code}"' in text} | {"output-mismatch"} == set(FORWARD_CODES)


def test_fail_on(changed: Callable[..., Path], run: Run) -> None:
    directory = changed("llama", _set("lm_head.weight", 0.0))
    assert run("forward", directory, "--fail-on", "error")[0] == 1
    assert run("forward", directory, "--fail-on", "info")[0] == 1


def test_losses_and_top_are_those_of_torch(saved: Callable[[str], Path]) -> None:
    result = weightscope.open(saved("llama")).forward([7, 3, 99, 0, 42])
    expected = torch.nn.functional.cross_entropy(result.logits[:-1], torch.tensor([3, 99, 0, 42]), reduction="none")
    assert result.losses() == pytest.approx(expected.tolist(), rel=1e-5)
    best = result.logits.softmax(-1).topk(3)
    rows = result.top(3)
    assert [[c.token_id for c in row] for row in rows] == best.indices.tolist()
    assert [c.probability for row in rows for c in row] == pytest.approx(best.values.flatten().tolist(), rel=1e-5)
    assert judge(result, is_text=True, non_finite=list)[0] == ()
