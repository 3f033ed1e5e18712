"""Files made to take hours or gigabytes: each ends in one clear line or a finding, at little cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bounded import assert_cheap, run_bounded
from tests.helpers import safetensors_bytes, write_index, write_safetensors

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 16,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
NAMES = {
    "a range": "a.{0–99999999999}.b",
    "braces": "model.layers.{}.3.{}.weight",
    "half of braces": "a.{.0.}.b",
    "4,400 digits": f"model.layers.{'9' * 4400}.weight"[:500],
    "other digits": "model.layers.٣.mlp.²",
    "numbers alone": ".".join(["0"] * 250),
    "zeros first": "model.layers.007.x",
    "no name": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_strange_names_are_shown_as_they_are(tmp_path: Path, run: Any, name: str, declared: bool) -> None:
    write_safetensors(tmp_path / "model.safetensors", "model.norm.weight", name, f"{name}.0", f"{name}.1")
    if declared:
        (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    for command in (["inspect"], ["params", "--by", "layer"], ["params", "--by", "module"], ["tensors"], ["check"]):
        code, out, err = run(*command, tmp_path, "--format", "json")
        assert (code, err) in ((0, ""), (1, "")), command
        json.loads(out)
        assert run(*command, tmp_path)[2] == "", command
    _, out, _ = run("tensors", tmp_path, "--format", "json")
    assert name in [tensor["name"] for tensor in json.loads(out)["tensors"]]
    assert run("explain", tmp_path, f"{name}.1")[0] == 0


def test_a_pattern_is_held_against_the_names_themselves(tmp_path: Path, run: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    write_safetensors(tmp_path / "model.safetensors", "model.norm.weight", "a.{0–99999999999}.b", "c.0.d", "c.1.d")

    def unexpected(*ignored: str) -> list[list[str]]:
        options = [option for pattern in ignored for option in ("--ignore", f"unexpected-tensor:{pattern}")]
        findings = json.loads(run("check", tmp_path, *options, "--format", "json")[1])["findings"]
        return [finding["tensors"] for finding in findings if finding["code"] == "unexpected-tensor"]

    titles = [["a.{0–99999999999}.b", "c.{0–1}.d"]]
    assert unexpected() == titles
    assert unexpected("a.7.b") == unexpected("c.*") == unexpected("c.{0–1}.d") == titles
    assert unexpected("[ac].*") == []


def test_a_pattern_against_a_title_of_a_hostile_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    write_safetensors(tmp_path / "model.safetensors", "model.norm.weight", "a.{0–99999999999}.b")
    done = run_bounded(tmp_path, "check", tmp_path, "--ignore", "unexpected-tensor:a.*")
    assert_cheap(done)
    assert done.code == 1
    assert "unexpected-tensor" not in done.out


def shard(number: int, count: int) -> str:
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def test_many_shards_that_repeat_a_name(tmp_path: Path) -> None:
    for number in range(1, 1001):
        write_safetensors(tmp_path / shard(number, 1000), "lm_head.weight", *(f"model.{number}.{i}" for i in range(99)))
    done = run_bounded(tmp_path, "inspect", tmp_path, "--format", "json")
    assert_cheap(done)
    findings = [finding for finding in json.loads(done.out)["findings"] if finding["code"] == "duplicate-tensor"]
    assert len(findings) == 999
    assert findings[0]["message"].startswith(f"{shard(2, 1000)} contains 1 tensor that {shard(1, 1000)} contains too")


def test_an_index_that_permutes_its_shards(tmp_path: Path) -> None:
    count = 1000
    names = [[f"model.{n}.{i}.x" for i in range(50)] for n in range(count)]
    for number in range(count):
        write_safetensors(tmp_path / shard(number + 1, count), *names[number])
    places = {name: shard((number + 1) % count + 1, count) for number in range(count) for name in names[number]}
    write_index(tmp_path / "model.safetensors.index.json", places)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    done = run_bounded(tmp_path, "check", tmp_path, "--format", "json")
    assert_cheap(done)
    assert "50,000 tensors that are in a different shard" in done.out


def test_shapes_that_all_differ(tmp_path: Path) -> None:
    """One kind of tensor in 20,000 layers, each of another shape: one finding for each, in time."""
    layers = 20_000
    header, end = {}, 0
    for i in range(layers):
        header[f"model.layers.{i}.input_layernorm.weight"] = {
            "dtype": "U8", "shape": [i % 200 + 1, i // 200 + 1, 0], "data_offsets": [end, end],
        }  # fmt: skip
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header))
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"num_hidden_layers": layers}))
    assert_cheap(run_bounded(tmp_path, "check", tmp_path, "--format", "json"))


def test_one_number_that_is_shown_two_billion_times(tmp_path: Path) -> None:
    torch.save({"model.norm.weight": torch.ones(1).expand(1 << 31)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    done = run_bounded(tmp_path, "check", "--values", tmp_path, "--format", "json")
    assert_cheap(done)
    assert "8,589,934,592 bytes of values, repeated from 4 stored bytes" in done.out


CUT = """\
import os, sys
from pathlib import Path
from weightscope.checkpoint import {module}
path, real = Path(sys.argv[-1]), {module}.{name}
def cut(*arguments, **options):
    os.truncate(path, 4096)
    return real(*arguments, **options)
{module}.{name} = cut
from weightscope.cli import main
main()
"""


@pytest.mark.parametrize(
    ("module", "name", "legacy"),
    [("spans", "_fill", False), ("spans", "_fill", True), ("pytorch", "find_weights", True)],
    ids=["values", "values of an old file", "an old file"],
)
def test_a_file_cut_short_while_it_is_read(tmp_path: Path, module: str, name: str, legacy: bool) -> None:
    """As a download that starts again does it: between one read and the next. Mapped, it would end in SIGBUS."""
    path = tmp_path / "pytorch_model.bin"
    tensors = {"model.norm.weight": torch.ones(50_000_000, dtype=torch.uint8), "a": torch.ones(50_000_000)[:9]}
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    done = run_bounded(tmp_path, "check", "--values", path, program=CUT.format(module=module, name=name))
    assert_cheap(done)
    assert done.code in (1, 2)
    assert "truncated-file" in done.out or "early" in done.err
