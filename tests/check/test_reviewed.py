"""Cases that a review of `check` by hand found wrong once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.check.test_every_code import FIRST, FIXTURES, INDEX, check, edit_json, edit_tensors, model
from weightscope.output.write import put
from weightscope.ranges import summed

__all__ = ["model"]


def codes(path: Path, **options: Any) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in check(path, **options).findings if f.severity != "info"]


@pytest.mark.parametrize("name", [FIRST, "config.json", "tokenizer.json", INDEX])
def test_no_file_that_could_be_a_model_s_is_written_over(name: str, model: Path) -> None:
    before = (model / name).read_bytes()
    with pytest.raises(weightscope.WeightscopeError, match="not overwritten"):
        put("{}", model / name)
    assert (model / name).read_bytes() == before


def test_a_head_that_a_base_model_s_save_left_out(tmp_path: Path) -> None:
    """Names without root under a config that names a model with a head: loading it as that fills the head."""
    tensors: dict[str, torch.Tensor] = {}
    for file in (FIXTURES / "llama").glob("*.safetensors"):
        tensors |= load_file(file)
    del tensors["lm_head.weight"]
    save_file({n.removeprefix("model."): t for n, t in tensors.items()}, tmp_path / "model.safetensors")
    shutil.copy(FIXTURES / "llama" / "config.json", tmp_path)
    assert codes(tmp_path) == [("tie-mismatch", "warning")]
    edit_json(tmp_path / "config.json", architectures=["LlamaModel"])
    assert codes(tmp_path) == []


@pytest.mark.parametrize(
    ("layers", "code"), [(2, "unexpected-tensor"), (1, "unexpected-tensor"), (5, "missing-tensor")]
)
def test_a_wrong_number_of_layers_is_one_error(layers: int, code: str, model: Path) -> None:
    edit_json(model / "config.json", num_hidden_layers=layers)
    (finding,) = [f for f in check(model).findings if f.severity != "info"]
    assert (finding.code, finding.severity) == (code, "error")
    assert (finding.expected, finding.actual) == (layers, 3)
    assert finding.config == ("num_hidden_layers",)
    assert finding.message == f"found 3 layers in model.layers, but num_hidden_layers is {layers}"


def test_two_keys_that_would_both_fit_are_both_said(tmp_path: Path) -> None:
    """Without head_dim, wrong heads and wrong key/value heads look alike: 8 rows of k are 2 · 4 and 4 · 2."""
    shutil.copytree(FIXTURES / "llama", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    del config["head_dim"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"num_attention_heads": 12}))
    (hint,) = {f.hint for f in check(tmp_path / "m").findings if f.code == "shape-mismatch"}
    assert "num_key_value_heads = 4" in hint
    assert "num_attention_heads = 6" in hint


def test_no_truth_is_offered_for_a_contradiction(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "gpt2", tmp_path / "m")
    edit_json(tmp_path / "m" / "config.json", n_head=5)
    hints = [f.hint for f in check(tmp_path / "m").findings if f.code == "shape-mismatch"]
    assert not [hint for hint in hints if "fits" in hint]


def test_an_absent_key_is_said_to_be_absent(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    del config["intermediate_size"]
    (model / "config.json").write_text(json.dumps(config))
    (hint,) = {f.hint for f in check(model).findings if f.code == "shape-mismatch"}
    assert hint == "every gate_proj and up_proj and down_proj fits intermediate_size = 52, which config.json leaves out"


@pytest.mark.parametrize(
    "settings", [{"quantization_config": {"quant_method": "fp8", "weight_block_size": [8, 8]}},
                 {"quantization": {"bits": 4, "group_size": 8}}]
)  # fmt: skip
def test_plain_weights_under_a_quantization_config_are_one_error(settings: dict[str, Any], model: Path) -> None:
    edit_json(model / "config.json", **settings)
    assert codes(model) == [("quantization-mismatch", "error")]


def test_another_block_size_is_named_as_that(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deepseek-v3", tmp_path / "m")
    edit_json(tmp_path / "m" / "config.json", quantization_config={"quant_method": "fp8", "weight_block_size": [4, 4]})
    findings = [f for f in check(tmp_path / "m").findings if f.severity != "info"]
    assert {f.code for f in findings} == {"quantization-mismatch"}
    assert all(f.config[0] == "quantization_config" for f in findings)


def test_plain_weights_beside_modelopt_s_file_are_a_warning(model: Path) -> None:
    """transformers does not read that file; vLLM does."""
    (model / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "NVFP4"}}')
    (finding,) = [f for f in check(model).findings if f.severity != "info"]
    assert (finding.code, finding.severity) == ("quantization-mismatch", "warning")
    assert "hf_quant_config.json" in finding.message
    assert "modelopt" in finding.message


def test_one_damaged_tensor_of_a_group_is_named(model: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    edit_tensors(model / FIRST, lambda t: t.update({name: t[name][:5].clone()}))
    (finding,) = [f for f in check(model).findings if f.code == "shape-mismatch"]
    assert finding.tensors == (name,)
    assert finding.message.startswith(f"{name}: is [5, 24], but config.json gives [24, 24]")
    assert "damaged" in finding.hint


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["a.0.b.1", "a.1.b.3"], ["a.0.b.1", "a.1.b.3"]),
        (["a.0.b.1", "a.0.b.3", "a.1.b.1", "a.1.b.3"], ["a.{0–1}.b.{1,3}"]),
        (["a.0.b.1", "a.0.b.2", "a.1.b.2"], ["a.0.b.{1–2}", "a.1.b.2"]),
    ],
)
def test_titles_stand_for_exactly_their_names(names: list[str], titles: list[str]) -> None:
    assert summed(names) == titles


def test_ignoring_looks_at_every_name(model: Path) -> None:
    extra = {f"vision.kind{n}{'x' * n}": torch.ones(2) for n in range(25)} | {"zzz.fault": torch.ones(2)}
    edit_tensors(model / FIRST, lambda t: t.update(extra))
    edit_json(model / INDEX, metadata={})
    found = [f.code for f in check(model, ignore=["unexpected-tensor:vision.*", "index-mismatch"]).findings]
    assert found == ["unexpected-tensor"]


def test_values_between_a_view_s_elements_are_not_its_own(tmp_path: Path) -> None:
    base = torch.ones(4, 6)
    base[:, 1::2] = float("nan")
    torch.save({"a.weight": base[:, ::2]}, tmp_path / "pytorch_model.bin")
    assert "non-finite" not in {f.code for f in check(tmp_path, values=True).findings}
    base[1, 2] = float("nan")
    torch.save({"a.weight": base[:, ::2]}, tmp_path / "pytorch_model.bin")
    assert "non-finite" in {f.code for f in check(tmp_path, values=True).findings}


def test_shards_without_an_index(model: Path) -> None:
    """transformers finds no weights in such a directory."""
    (model / INDEX).unlink()
    assert codes(model) == [("index-mismatch", "error")]


def test_an_index_that_forgets_a_shard(model: Path) -> None:
    places = json.loads((model / INDEX).read_text())["weight_map"]
    edit_json(model / INDEX, weight_map={n: s for n, s in places.items() if s != FIRST})
    found = check(model).findings
    assert ("index-mismatch", "error") in [(f.code, f.severity) for f in found]
    assert "unexpected-shard" not in {f.code for f in found}


def test_a_directory_without_weights_is_not_ok(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "llama" / "config.json", tmp_path)
    assert codes(tmp_path) == [("missing-shard", "error")]
    assert codes(tmp_path / "config.json") == []


def test_a_broken_config_does_not_hide_a_broken_shard(model: Path) -> None:
    (model / "config.json").write_text("{")
    os.truncate(model / FIRST, 100)
    assert {code for code, _ in codes(model)} == {"config-invalid", "truncated-file"}


def test_consequences_are_not_said_beside_their_cause(model: Path) -> None:
    edit_tensors(model / FIRST, lambda t: t.pop("model.layers.0.self_attn.q_proj.weight"))
    assert {code for code, _ in codes(model)} == {"missing-tensor", "index-mismatch"}
