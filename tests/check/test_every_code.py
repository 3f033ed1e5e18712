"""Every code: a fault planted in a sound checkpoint is found under it, and without the fault it is not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from weightscope.analyses.checking import CheckResult, Policy
from weightscope.api.checking import check_model
from weightscope.findings import CODES

FIXTURES = Path(__file__).parents[2] / "fixtures"
INDEX = "model.safetensors.index.json"
FIRST = "model-00001-of-00004.safetensors"


def edit_json(path: Path, **keys: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def edit_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def weight_map(model: Path) -> dict[str, str]:
    return dict(json.loads((model / INDEX).read_text())["weight_map"])


def drop(model: Path) -> None:
    edit_tensors(model / FIRST, lambda t: t.pop("model.layers.0.self_attn.q_proj.weight"))


def add(model: Path) -> None:
    edit_tensors(model / FIRST, lambda t: t.update(extra=torch.ones(2)))


def resize(model: Path) -> None:
    edit_json(model / "config.json", intermediate_size=64)


def retype(model: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    edit_tensors(model / FIRST, lambda t: t.update({name: t[name].half()}))


def lose(model: Path) -> None:
    (model / FIRST).unlink()


def stray(model: Path) -> None:
    shutil.copy(model / FIRST, model / "model-00001-of-00009.safetensors")


def misplace(model: Path) -> None:
    places = weight_map(model)
    places["lm_head.weight"] = FIRST
    edit_json(model / INDEX, weight_map=places)


def misbill(model: Path) -> None:
    edit_json(model / INDEX, metadata={"total_size": 1})


def truncate(model: Path) -> None:
    os.truncate(model / FIRST, (model / FIRST).stat().st_size - 1)


def scramble(model: Path) -> None:
    raw = bytearray((model / FIRST).read_bytes())
    raw[8:9] = b"["
    (model / FIRST).write_bytes(raw)


def cut_index(model: Path) -> None:
    (model / INDEX).write_text('{"weight_map": ')


def climb(model: Path) -> None:
    edit_json(model / INDEX, weight_map=weight_map(model) | {"lm_head.weight": "../x.safetensors"})


class Runs:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def poison(model: Path) -> None:
    for file in model.glob("*.safetensors*"):
        file.unlink()
    torch.save({"a": torch.ones(2), "b": Runs()}, model / "pytorch_model.bin")


def untie(model: Path) -> None:
    edit_json(model / "config.json", tie_word_embeddings=True)


def wrap(model: Path) -> None:
    places = {f"module.{name}": shard for name, shard in weight_map(model).items()}
    for shard in model.glob("*.safetensors"):
        save_file({f"module.{name}": tensor for name, tensor in load_file(shard).items()}, shard)
    edit_json(model / INDEX, weight_map=places)


def merge(model: Path) -> None:
    tensors = {name: tensor for shard in model.glob("*.safetensors") for name, tensor in load_file(shard).items()}
    save_file(tensors, model / "model.safetensors")


def lose_config(model: Path) -> None:
    (model / "config.json").unlink()


def contradict(model: Path) -> None:
    edit_json(model / "config.json", num_key_value_heads=5)


def rename_type(model: Path) -> None:
    edit_json(model / "config.json", model_type="llama_of_tomorrow")


def claim_fp8(model: Path) -> None:
    edit_json(model / "config.json", quantization_config={"quant_method": "fp8", "weight_block_size": [8, 8]})
    for shard in sorted(model.glob("*.safetensors")):
        places = weight_map(model)

        def scale(tensors: dict[str, torch.Tensor], shard: Path = shard, places: dict[str, str] = places) -> None:
            for name in [n for n in tensors if "proj" in n]:
                rows, columns = tensors[name].shape
                tensors[f"{name}_scale_inv"] = torch.ones(-(-rows // 8), -(-columns // 8))
                places[f"{name}_scale_inv"] = shard.name

        edit_tensors(shard, scale)
        edit_json(model / INDEX, weight_map=places, metadata={})


def break_numbers(model: Path) -> None:
    def fill(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.0.self_attn.q_proj.weight"][3, 4] = float("nan")

    edit_tensors(model / FIRST, fill)


def empty(model: Path) -> None:
    edit_tensors(model / FIRST, lambda t: t["model.layers.0.self_attn.q_proj.weight"].zero_())


def set_to_one_number(model: Path) -> None:
    edit_tensors(model / FIRST, lambda t: t["model.layers.0.self_attn.q_proj.weight"].fill_(0.5))


def copy_a_layer(model: Path) -> None:
    """Layer 1 from layer 0, wherever their tensors lie."""
    files = sorted(model.glob("*.safetensors"))
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    copies = {name: tensors[name.replace("layers.1.", "layers.0.")].clone() for name in tensors if "layers.1." in name}
    for file in files:
        edit_tensors(file, lambda t: t.update({name: copies[name] for name in t if name in copies}))


def repeat(model: Path) -> None:
    extra = load_file(model / FIRST)["model.layers.0.self_attn.q_proj.weight"]
    other = "model-00002-of-00004.safetensors"
    edit_tensors(model / other, lambda t: t.update({"model.layers.0.self_attn.q_proj.weight": extra}))


def tear_adapter(model: Path) -> None:
    shutil.rmtree(model)
    shutil.copytree(FIXTURES / "adapters" / "peft" / "lora", model)
    edit_tensors(
        model / "adapter_model.safetensors",
        lambda t: t.pop("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"),
    )


PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing-tensor": (drop, "error"),
    "unexpected-tensor": (add, "warning"),
    "shape-mismatch": (resize, "error"),
    "dtype-mismatch": (retype, "warning"),
    "missing-shard": (lose, "error"),
    "unexpected-shard": (stray, "warning"),
    "index-mismatch": (misplace, "error"),
    "size-mismatch": (misbill, "warning"),
    "truncated-file": (truncate, "error"),
    "malformed-header": (scramble, "error"),
    "malformed-index": (cut_index, "error"),
    "unsafe-path": (climb, "error"),
    "unsafe-pickle": (poison, "error"),
    "tie-mismatch": (untie, "error"),
    "prefix-mismatch": (wrap, "error"),
    "other-weights": (merge, "warning"),
    "adapter-mismatch": (tear_adapter, "error"),
    "config-missing": (lose_config, "error"),
    "config-invalid": (contradict, "error"),
    "unknown-architecture": (rename_type, "error"),
    "quantization-mismatch": (claim_fp8, "error"),
    "non-finite": (break_numbers, "error"),
    "all-zero": (empty, "warning"),
    "duplicate-tensor": (repeat, "error"),
    "constant-tensor": (set_to_one_number, "warning"),
    "value-outlier": (copy_a_layer, "warning"),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A sound sharded Llama with a tokenizer of as many tokens as it has rows."""
    target = tmp_path / "llama"
    shutil.copytree(FIXTURES / "llama", target)
    vocab = {f"t{number}": number for number in range(256)}
    (target / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocab}, "added_tokens": []}))
    (target / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
    return target


def check(model: Path, **options: Any) -> CheckResult:
    return check_model(model, Policy.of(options.pop("fail_on", "error"), options.pop("ignore", ())), **options)


def test_every_code_is_planted() -> None:
    # One needs a lock (tests/lock), one a model that looks trained (test_conventions.py).
    assert set(PLANTED) == set(CODES) - {"lock-mismatch", "convention-mismatch"}


def test_a_sound_model_is_clean_to_the_last_note(model: Path) -> None:
    result = check(model, fail_on="info", values=True)
    assert result.findings == ()
    assert result.ok
    assert result.checked.tensors == 30
    assert result.checked.rules > 15


@pytest.mark.parametrize("code", PLANTED)
def test_planted(code: str, model: Path) -> None:
    plant, severity = PLANTED[code]
    plant(model)
    result = check(model, values=True)
    assert (code, severity) in [(finding.code, finding.severity) for finding in result.findings]
    assert result.ok is all(finding.severity != "error" for finding in result.findings)
    assert all("\n" not in finding.message for finding in result.findings)


def test_a_broken_shard_does_not_hide_what_else_is_wrong(model: Path) -> None:
    truncate(model)
    (model / "model-00002-of-00004.safetensors").unlink()
    resize(model)
    codes = [finding.code for finding in check(model).findings]
    assert set(codes) == {"truncated-file", "missing-shard", "shape-mismatch"}


@pytest.mark.parametrize(
    ("dtype", "value", "found"),
    [
        (torch.float32, float("inf"), True),
        (torch.float16, float("-inf"), True),
        (torch.bfloat16, float("nan"), True),
        (torch.float64, float("nan"), True),
        (torch.float8_e4m3fn, float("nan"), True),
        (torch.float8_e5m2, float("inf"), True),
        (torch.float8_e4m3fnuz, float("nan"), True),
        (torch.complex64, complex(0, float("nan")), True),
        (torch.float32, 3.4e38, False),
        (torch.float16, 65504.0, False),
        (torch.bfloat16, -3.38e38, False),
        (torch.float8_e4m3fn, 448.0, False),
        (torch.float8_e5m2, -57344.0, False),
        (torch.int64, -1, False),
        (torch.uint8, 255, False),
    ],
)
def test_non_finite_in_every_type(dtype: torch.dtype, value: complex, found: bool, tmp_path: Path) -> None:
    """torch.isfinite is the oracle, where it takes the type."""
    tensor = torch.ones(5, 7, dtype=torch.float32).to(dtype)
    tensor[3, 4] = torch.tensor(value).to(dtype)
    wide = tensor.to(torch.complex64) if dtype.is_complex else tensor.to(torch.float64)
    assert bool(torch.isfinite(wide).all()) is not found
    save_file({"a.weight": tensor}, tmp_path / "model.safetensors")
    codes = {finding.code for finding in check(tmp_path, values=True).findings}
    assert ("non-finite" in codes) is found


def test_values_are_read_to_the_end(tmp_path: Path) -> None:
    """The last of 20 million numbers, beyond two chunks."""
    values = np.zeros(20_000_000, np.float32)
    values[-1] = np.nan
    save_file({"a.weight": torch.from_numpy(values)}, tmp_path / "model.safetensors")
    assert "non-finite" in {finding.code for finding in check(tmp_path, values=True).findings}


def write_tokenizer(path: Path, content: dict[str, Any]) -> None:
    (path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {}}} | content))


@pytest.mark.parametrize(
    ("content", "severity"),
    [
        ({"model": {"vocab": {"a": 255}}}, None),
        ({"model": {"vocab": {"a": 256}}}, "error"),
        ({"model": {"vocab": [["a", 0.0]] * 256}}, None),
        ({"model": {"vocab": [["a", 0.0]] * 257}}, "error"),
        ({"added_tokens": [{"id": 255, "content": "<x>"}]}, None),
        ({"added_tokens": [{"id": 300, "content": "<x>"}]}, "error"),
        ({"added_tokens": 3}, "error"),
    ],
)
def test_tokenizer_size(content: dict[str, Any], severity: str | None, model: Path) -> None:
    write_tokenizer(model, content)
    assert [f.severity for f in check(model).findings if f.code == "config-invalid"] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("file", "keys", "severity"),
    [
        ("config.json", {"bos_token_id": 256}, "warning"),
        ("config.json", {"eos_token_id": [2, 255]}, None),
        ("config.json", {"eos_token_id": [2, 256]}, "warning"),
        ("config.json", {"pad_token_id": -1}, None),
        ("config.json", {"eos_token_id": None}, None),
        ("generation_config.json", {"eos_token_id": 999}, "warning"),
        ("generation_config.json", {"eos_token_id": 2}, None),
        ("generation_config.json", {"eos_token_id": [3, 4]}, "info"),
        ("generation_config.json", {"eos_token_id": [2, 4]}, None),
    ],
)
def test_special_tokens(file: str, keys: dict[str, Any], severity: str | None, model: Path) -> None:
    edit_json(model / file, **keys)
    found = [f.severity for f in check(model).findings]
    # An end that is beyond the vocabulary is not the config's end either.
    assert found[:1] == ([severity] if severity else [])


def test_no_end_anywhere_and_no_generation_config(model: Path) -> None:
    (model / "generation_config.json").unlink()
    edit_json(model / "config.json", eos_token_id=None)
    assert [(f.code, f.severity) for f in check(model).findings] == [
        ("config-invalid", "info"),
        ("config-missing", "info"),
    ]


def test_an_encoder_generates_nothing(tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": 9,
    }
    config = {"model_type": "bert", "architectures": ["BertForMaskedLM"]} | sizes
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert not check(tmp_path / "config.json").findings
    assert not [finding for finding in check(tmp_path).findings if "eneration" in finding.message]


def test_a_broken_generation_config_is_named(model: Path) -> None:
    (model / "generation_config.json").write_text("{")
    (finding,) = check(model).findings
    assert finding.code == "config-invalid"
    assert "generation_config.json" in finding.message


def test_fp8_without_its_config_is_seen(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deepseek-v3", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    del config["quantization_config"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    assert "quantization-mismatch" in {finding.code for finding in check(tmp_path / "m").findings}


def test_norms_in_more_precision_are_a_note(model: Path) -> None:
    for shard in model.glob("*.safetensors"):
        edit_tensors(shard, lambda t: t.update({n: v.float() for n, v in t.items() if "norm" in n}))
    edit_json(model / INDEX, metadata={})
    findings = check(model).findings
    assert {(f.code, f.severity) for f in findings} == {("dtype-mismatch", "info")}


def test_a_whole_model_in_another_type_is_a_note(model: Path) -> None:
    edit_json(model / "config.json", dtype="float32")
    (finding,) = check(model).findings
    assert (finding.code, finding.severity, finding.expected, finding.actual) == (
        "dtype-mismatch",
        "info",
        "F32",
        "BF16",
    )


@pytest.mark.parametrize(
    ("ignored", "kept"),
    [
        ([], 2),
        (["unexpected-tensor"], 1),
        (["unexpected-tensor:extra*"], 1),
        (["unexpected-tensor:other*"], 2),
        (["unexpected-tensor", "index-mismatch"], 0),
        (["index-mismatch:*"], 1),
    ],
)
def test_ignoring(ignored: list[str], kept: int, model: Path) -> None:
    """A tensor too many is unexpected, and not in the index."""
    add(model)
    edit_json(model / INDEX, metadata={})
    assert len(check(model, ignore=ignored).findings) == kept


@pytest.mark.parametrize(("fail_on", "ok"), [("error", True), ("warning", False), ("info", False)])
def test_what_fails(fail_on: str, ok: bool, model: Path) -> None:
    misbill(model)
    assert check(model, fail_on=fail_on).ok is ok
