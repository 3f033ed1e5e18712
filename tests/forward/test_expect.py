"""What names, shapes and counts let pass, and the pass does not: each exchange caught, at the stage where it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import weightscope

Run = Callable[..., tuple[int, str, str]]
State = dict[str, torch.Tensor]
TOKENS = "7,3,99,0,42,17"


def exchange(first: str, second: str) -> Any:
    def change(state: State) -> None:
        state[first], state[second] = state[second], state[first]

    return change


def rows(name: str, order: Callable[[torch.Tensor], torch.Tensor], *, bias: bool = False) -> Any:
    """A matrix, and its bias, with its rows in another order."""

    def change(state: State) -> None:
        state[name] = order(state[name])
        if bias:
            state[name.replace("weight", "bias")] = order(state[name.replace("weight", "bias")])

    return change


def transpose(name: str) -> Any:
    def change(state: State) -> None:
        assert state[name].shape[0] == state[name].shape[1]
        state[name] = state[name].T

    return change


def halves_to_neighbours(heads: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Rows of each head from rotated halves to rotated pairs, as Meta's own Llama files have them."""
    return lambda x: x.reshape(heads, 2, -1, *x.shape[1:]).transpose(1, 2).reshape(x.shape)


def swap_parts(*sizes: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The first two of consecutive parts exchanged."""

    def order(x: torch.Tensor) -> torch.Tensor:
        first, second, *rest = torch.split(x, list(sizes))
        return torch.cat((second, first, *rest))

    return order


def both(*changes: Any) -> Any:
    def change(state: State) -> None:
        for part in changes:
            part(state)

    return change


def concatenated_from_heads(heads: int, parts: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """All queries, all keys, all values, from a head's query, key and value in turn."""
    return lambda x: x.reshape(heads, parts, -1, *x.shape[1:]).transpose(0, 1).reshape(x.shape)


def swap_within_heads(heads: int, first: int, second: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A head's values before its keys."""
    return lambda x: torch.cat(torch.split(x.reshape(heads, first + second, -1), [first, second], 1)[::-1], 1).reshape(
        x.shape
    )


L1 = "model.layers.1."
ATTENTION, MLP = "layer 1 attention", "layer 1 mlp"
EXCHANGES = [
    ("llama", exchange(f"{L1}mlp.gate_proj.weight", f"{L1}mlp.up_proj.weight"), MLP),
    ("llama", exchange(f"{L1}self_attn.k_proj.weight", f"{L1}self_attn.v_proj.weight"), ATTENTION),
    ("llama", exchange(f"{L1}self_attn.q_proj.weight", f"{L1}self_attn.o_proj.weight"), ATTENTION),
    ("llama", exchange(f"{L1}input_layernorm.weight", f"{L1}post_attention_layernorm.weight"), ATTENTION),
    ("llama", transpose(f"{L1}self_attn.o_proj.weight"), ATTENTION),
    ("llama", transpose(f"{L1}self_attn.q_proj.weight"), ATTENTION),
    ("llama", both(rows(f"{L1}self_attn.q_proj.weight", halves_to_neighbours(6)),
                   rows(f"{L1}self_attn.k_proj.weight", halves_to_neighbours(2))), ATTENTION),
    ("llama", exchange("model.layers.0.mlp.up_proj.weight", f"{L1}mlp.up_proj.weight"), "layer 0 mlp"),
    ("llama", exchange("model.embed_tokens.weight", "lm_head.weight"), "token embedding"),
    ("qwen2", rows(f"{L1}self_attn.k_proj.bias", lambda x: x.flip(0)), ATTENTION),
    ("qwen3", exchange(f"{L1}self_attn.q_norm.weight", f"{L1}self_attn.k_norm.weight"), ATTENTION),
    ("mistral", exchange(f"{L1}self_attn.k_proj.weight", f"{L1}self_attn.v_proj.weight"), ATTENTION),
    ("phi3", rows(f"{L1}self_attn.qkv_proj.weight", lambda x: torch.cat((x[:24], x[32:], x[24:32]))), ATTENTION),
    ("phi3", rows(f"{L1}mlp.gate_up_proj.weight", swap_parts(52, 52)), MLP),
    ("gpt2", rows("transformer.h.1.attn.c_attn.weight", lambda x: swap_parts(24, 24, 24)(x.T).T), ATTENTION),
    ("gpt2", transpose("transformer.h.1.attn.c_proj.weight"), ATTENTION),
    ("gpt2", exchange("transformer.h.1.ln_1.bias", "transformer.h.1.ln_2.bias"), ATTENTION),
    ("gpt_neox", rows("gpt_neox.layers.1.attention.query_key_value.weight", concatenated_from_heads(6, 3), bias=True),
     ATTENTION),
    ("gpt_neox", transpose("gpt_neox.layers.1.attention.dense.weight"), ATTENTION),
    ("bloom", rows("transformer.h.1.self_attention.query_key_value.weight", concatenated_from_heads(6, 3)), ATTENTION),
    ("gemma", exchange(f"{L1}mlp.gate_proj.weight", f"{L1}mlp.up_proj.weight"), MLP),
    ("gemma2", exchange(f"{L1}pre_feedforward_layernorm.weight", f"{L1}post_feedforward_layernorm.weight"), MLP),
    ("mixtral", exchange(f"{L1}block_sparse_moe.experts.0.w1.weight", f"{L1}block_sparse_moe.experts.0.w3.weight"),
     "layer 1 moe"),
    ("mixtral", exchange(f"{L1}block_sparse_moe.experts.0.w2.weight", f"{L1}block_sparse_moe.experts.1.w2.weight"),
     "layer 1 moe"),
    ("mixtral", rows(f"{L1}block_sparse_moe.gate.weight", lambda x: x.roll(1, 0)), "layer 1 moe"),
    ("deepseek_v3", rows(f"{L1}self_attn.kv_a_proj_with_mqa.weight", swap_parts(4, 13)), ATTENTION),
    ("deepseek_v3", rows(f"{L1}self_attn.kv_b_proj.weight", swap_within_heads(6, 8, 5)), ATTENTION),
    ("llama", rows(f"{L1}self_attn.k_proj.weight", lambda x: x.clone()), None),
    ("deepseek_v3", rows(f"{L1}self_attn.q_b_proj.weight", lambda x: x.roll(4, 0)), ATTENTION),
    ("deepseek_v3", exchange(f"{L1}mlp.shared_experts.gate_proj.weight", f"{L1}mlp.shared_experts.up_proj.weight"),
     "layer 1 moe"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "change", "stage"), EXCHANGES)
def test_exchanged_weights_are_caught_where_they_are(
    model: str, change: Any, stage: str | None, changed: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    golden, logits = tmp_path / "golden.json", tmp_path / "logits.npy"
    right = changed(model)
    assert run("forward", right, "--tokens", TOKENS, "--record", golden, "--save-logits", logits)[0] == 0
    assert run("forward", right, "--expect", golden)[0] == 0
    assert run("forward", right, "--tokens", TOKENS, "--expect", logits)[0] == 0
    before = weightscope.open(right).check()
    wrong = changed(model, change)
    assert weightscope.open(wrong).check() == before
    status, out, _ = run("forward", wrong, "--expect", golden, "--format", "json")
    against_logits = run("forward", wrong, "--tokens", TOKENS, "--expect", logits, "--format", "json")
    if stage is None:
        assert (status, against_logits[0]) == (0, 0)
        return
    (finding,) = json.loads(out)["findings"]
    assert (status, finding["code"]) == (1, "output-mismatch")
    assert finding["message"].startswith(f"{stage} is the first stage that differs from the golden file")
    assert against_logits[0] == 1
    outcome = json.loads(against_logits[1])
    assert [finding["code"] for finding in outcome["findings"]] == ["output-mismatch"]
    assert outcome["max_abs_diff"] > 1e-3


def test_expected_logits_are_transformers_own(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(saved("qwen3"))(torch.tensor([[5, 6, 7]])).logits
    np.save(tmp_path / "theirs.npy", theirs.numpy())
    status, out, _ = run(
        "forward", saved("qwen3"), "--tokens", "5,6,7", "--expect", tmp_path / "theirs.npy", "--format", "json"
    )
    assert (status, json.loads(out)["checked"][-1]) == (0, "expected logits")
    assert 0 <= json.loads(out)["max_abs_diff"] < 1e-4
    np.save(tmp_path / "theirs.npy", theirs.numpy() + 0.1)
    status, out, _ = run(
        "forward", saved("qwen3"), "--tokens", "5,6,7", "--expect", tmp_path / "theirs.npy", "--format", "json"
    )
    assert status == 1
    assert json.loads(out)["max_abs_diff"] == pytest.approx(0.1, rel=1e-2)
    tolerant = ("forward", saved("qwen3"), "--tokens", "5,6,7", "--expect", tmp_path / "theirs.npy", "--atol", "0.2")
    assert run(*tolerant)[0] == 0


def test_a_golden_file_brings_its_tokens_and_fits_in_a_repository(
    saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.json"
    run("forward", saved("llama"), "--tokens", TOKENS, "--record", golden)
    text = golden.read_text()
    assert len(text) < 4000
    kept = json.loads(text)
    assert kept["tokens"] == [7, 3, 99, 0, 42, 17]
    assert text.count("\n") == len(kept["stages"]) + len(kept["top"]) + 12
    _, out, _ = run("forward", saved("llama"), "--expect", golden, "--format", "json")
    outcome = json.loads(out)
    assert (outcome["token_ids"], outcome["origin"]) == (kept["tokens"], "golden")
    assert outcome["golden_diff"] == 0.0
    # Other arithmetic, the same model: within the tolerance that a type has.
    for dtype in ("float64", "bfloat16"):
        status, out, _ = run(
            "forward", saved("llama"), "--expect", golden, "--compute-dtype", dtype, "--format", "json"
        )
        assert status == 0
        assert json.loads(out)["golden_diff"] > 0


def test_a_golden_file_of_a_pass_that_was_stopped(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    run("forward", saved("llama"), "--tokens", TOKENS, "--stop-after", "1", "--record", golden)
    assert run("forward", saved("llama"), "--stop-after", "1", "--expect", golden)[0] == 0
    status, out, _ = run("forward", saved("llama"), "--expect", golden, "--format", "json")
    assert status == 1
    assert (
        "9 stages, the golden file 5; the first difference is 'layer 2 attention' instead of 'the end'"
        in json.loads(out)["findings"][0]["message"]
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a golden file"),
        (b"[]", "is not a golden file"),
        (b'{"model_type": "llama"}', "is not a golden file"),
        (b"\xff\xfe", "is not a golden file"),
        (None, "cannot be read"),
    ],
)
def test_golden_files_that_are_none(content: bytes | None, said: str, run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    if content is not None:
        golden.write_bytes(content)
    status, out, error = run("forward", "fixtures/llama", "--expect", golden)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert said in error


@pytest.mark.parametrize(("key", "value"), [("schema_version", 2), ("kind", "x")])
def test_golden_files_of_another_version(key: str, value: object, run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    run("forward", "fixtures/llama", "--record", golden)
    golden.write_text(json.dumps(json.loads(golden.read_text()) | {key: value}))
    status, _, error = run("forward", "fixtures/llama", "--expect", golden)
    assert status == 2
    assert "is not a golden file of this version" in error


def test_other_tokens_than_recorded(run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    run("forward", "fixtures/llama", "--record", golden)
    status, _, error = run("forward", "fixtures/llama", "--tokens", "1,2", "--expect", golden)
    assert status == 2
    assert "was recorded with other tokens; leave out --tokens and --prompt" in error


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 256), np.float32), "the expected logits have the shape [5, 256], the pass's [2, 256]"),
        (np.zeros((2, 3, 256), np.float32), "the expected logits have the shape [2, 3, 256]"),
        (np.array(["a"]), "does not hold an array of numbers"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as logits"),
        (None, "cannot be read as logits"),
    ],
)
def test_logits_files_that_do_not_fit(array: Any, said: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    if array is None:
        path.write_bytes(b"\x93NUMPY\x01\x00v\x00{")
    else:
        np.save(path, array, allow_pickle=True)
    status, _, error = run("forward", "fixtures/llama", "--tokens", "1,2", "--expect", path)
    assert status == 2
    assert said in error


def header(descr: str, shape: str, *, version: int = 1, more: str = "") -> bytes:
    """The header of a .npy file, whatever it says."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        header("'<f4'", f"({10**30}, 256)"),
        header("'<f4'", f"({'9' * 5_000}, 256)"),
        header("'<f4'", "(-1, 256)"),
        header("'<f4'", f"({2**62}, {2**62})"),
        header("'<f4'", "(" + "1," * 3_000 + ")"),
        header("'<f4'", "(" * 3_000 + ")" * 3_000),
        header("'<f4'", "-" * 5_000 + "1"),
        header("'<f4'", "(2L, 25L)"),
        header("'<f4'", "((2, 256)"),
        header("'<f4'", "(2, 256)", more=", 'x\\d': 1is"),
        header("'<f4'", "(2, 256)", more=", 'x': 1"),
        header("'|S1000000000000'", "()"),
        header("('<f4', (1000000000000,))", "()"),
        header("[('a', '<f4')]", "(2, 256)"),
        header("'<f9999999999'", "(2, 256)"),
        header("{}", "(2, 256)"),
        header("'|O'", "(1000000,)"),
        header("'<f4'", "(2, 256)", version=2)[:8] + b"\xff\xff\xff\xff",
        header("'<f4'", "(2, 256)", version=9),
        b"PK\x05\x06" + b"\0" * 18,
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    ],
    ids=[
        "10^30-rows", "5,000-digits", "negative", "overflow", "3,000-dimensions", "nested", "signs", "python-2",
        "unclosed", "odd-python", "key", "text", "subarrays", "fields", "dtype", "dtype-dict", "objects", "long-header",
        "version", "zip", "pickle",
    ],
)  # fmt: skip
def test_logits_files_with_giant_numbers(content: bytes, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    path.write_bytes(content)
    with path.open("r+b") as file:
        file.truncate(5_000_000_000)
    start = time.process_time()
    status, out, error = run("forward", "fixtures/llama", "--tokens", "1,2", "--expect", path)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"weightscope: {path}: ") or "the expected logits have the shape" in error
    assert time.process_time() - start < 5


@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308, np.inf, np.nan])
@pytest.mark.parametrize("all_of_them", [True, False])
def test_giant_logits_do_not_pass(value: float, all_of_them: bool, run: Run, tmp_path: Path) -> None:
    """Their squares overflow, and a difference is small beside infinity."""
    run("forward", "fixtures/llama", "--tokens", "1,2", "--save-logits", tmp_path / "right.npy")
    expected = np.load(tmp_path / "right.npy").astype(np.float64)
    expected[slice(None) if all_of_them else (0, 0)] = value
    np.save(tmp_path / "wrong.npy", expected)
    status, out, error = run(
        "forward", "fixtures/llama", "--tokens", "1,2", "--expect", tmp_path / "wrong.npy", "--format", "json"
    )
    assert (status, error) == (1, "")
    assert json.loads(out)["findings"][0]["code"] == "output-mismatch"


STAGE = '[{"stage":"x","shape":[SHAPE],"rms":RMS,"absmax":1,"fingerprint":null}]'


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tokens", f"[1{'0' * 6_000}]", "is not a golden file ("),
        ("tokens", f"[{10**30}]", "is not a golden file (Expected `int` <= 9223372036854775807"),
        ("tokens", "[-1]", "is not a golden file (Expected `int` >= 0"),
        ("tokens", f"[{'1,' * 300_000}1]", "300,001 tokens exceed the limit of 262,144 for one pass"),
        ("tokens", "[99999999999]", "token 99999999999 is outside the vocabulary (0 to 255)"),
        ("stages", STAGE.replace("SHAPE", str(10**30)), "is not a golden file (Expected `int` <= 9223372036854775807"),
        ("stages", STAGE.replace("RMS", "1e999"), "is not a golden file ("),
        ("stages", "[" * 100_000, "is not a golden file ("),
        ("top", f"[{'[],' * 4_000_000}[]]", "is larger than 10,000,000 bytes"),
    ],
    ids=["digits", "10^30", "negative", "many", "beyond", "shape", "infinite", "nested", "large"],
)  # fmt: skip
def test_golden_files_with_giant_numbers(key: str, value: str, said: str, run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    run("forward", "fixtures/llama", "--tokens", "1,2", "--record", golden)
    fields = json.loads(golden.read_text()) | {key: "HERE"}
    golden.write_text(json.dumps(fields).replace('"HERE"', value))
    status, out, error = run("forward", "fixtures/llama", "--expect", golden)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert said in error


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308])
@pytest.mark.parametrize("field", ["rms", "absmax", "fingerprint"])
def test_giant_marks_do_not_pass(value: float, field: str, run: Run, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    run("forward", "fixtures/llama", "--tokens", "1,2", "--record", golden)
    fields = json.loads(golden.read_text())
    for stage in fields["stages"]:
        stage[field] = [value] * 8 if field == "fingerprint" else value
    golden.write_text(json.dumps(fields))
    status, out, error = run("forward", "fixtures/llama", "--expect", golden, "--format", "json")
    # What is measured beside the fingerprint is not held against anything but the root mean square.
    assert (status, error) == (0 if field == "absmax" else 1, "")
    assert [finding["code"] for finding in json.loads(out)["findings"]] == ["output-mismatch"] * (field != "absmax")


def test_saved_logits_are_float32_and_no_model_is_overwritten(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    run("forward", "fixtures/llama", "--tokens", "1,2,3", "--save-logits", path, "--compute-dtype", "bfloat16")
    saved = np.load(path)
    assert (saved.dtype, saved.shape) == (np.float32, (3, 256))
    victim = tmp_path / "config.json"
    victim.write_text("{}")
    for option in ("--save-logits", "--record"):
        status, _, error = run("forward", "fixtures/llama", "--tokens", "1", option, victim)
        assert (status, victim.read_text()) == (2, "{}")
        assert "is not overwritten" in error
