"""Faults that wrappers, merges and half-finished saves leave, in eight families and all containers: a finding each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.check.planting import Plant
from tests.families.tiny import TINY

# Each with the root of its names and its token embedding.
FAMILIES = {
    "llama": ("model.", "model.embed_tokens.weight"),
    "qwen3-tied-bias": ("model.", "model.embed_tokens.weight"),
    "gemma": ("model.", "model.embed_tokens.weight"),
    "gpt2": ("transformer.", "transformer.wte.weight"),
    "gpt_neox": ("gpt_neox.", "gpt_neox.embed_in.weight"),
    "phi3": ("model.", "model.embed_tokens.weight"),
    "mixtral": ("model.", "model.embed_tokens.weight"),
    "mamba": ("backbone.", "backbone.embeddings.weight"),
}
TIED = ("qwen3-tied-bias", "gemma", "gpt2", "mamba")
UNTIED = ("llama", "gpt_neox", "phi3", "mixtral")
CONTAINERS = [("safetensors", 1), ("safetensors", 3), ("bin", 1), ("bin", 3)]
Said = tuple[str, str, str]

families = pytest.mark.parametrize("name", FAMILIES)
containers = pytest.mark.parametrize(("suffix", "shards"), CONTAINERS, ids=str)


def added(plant: Plant, prefix: str) -> None:
    plant.tensors = {prefix + name: tensor for name, tensor in plant.tensors.items()}


def exchanged(plant: Plant, old: str, new: str) -> None:
    plant.tensors = {
        (new + name.removeprefix(old) if name.startswith(old) else name): tensor
        for name, tensor in plant.tensors.items()
    }


PREFIXES: dict[str, tuple[Callable[[Plant, str], None], str, str]] = {
    "DataParallel": (lambda p, _: added(p, "module."), "error", "begin with 'module.', which DataParallel"),
    "compiled": (lambda p, _: added(p, "_orig_mod."), "error", "begin with '_orig_mod.', which torch.compile"),
    "PEFT": (lambda p, _: added(p, "base_model.model."), "error", "begin with 'base_model.model.', which PEFT"),
    "FSDP": (lambda p, _: added(p, "_fsdp_wrapped_module."), "error", "begin with '_fsdp_wrapped_module.', which FSDP"),
    "a part": (lambda p, _: added(p, "language_model."), "error", "begin with 'language_model.', which a vision-"),
    "anyone's": (lambda p, _: added(p, "student.net."), "error", "begin with 'student.net.'"),
    "two": (lambda p, _: added(p, "module._orig_mod."), "error", "begin with 'module.'"),
    "another root": (lambda p, root: exchanged(p, root, "trunk."), "error", "begin with 'trunk.' where "),
    "root twice": (added, "info", "begin with '"),
    "no root": (lambda p, root: exchanged(p, root, ""), "info", "the names lack the prefix '"),
}


def one(plant: Plant, said: Said) -> None:
    """Exactly one finding, of that code and severity, with those words."""
    findings = plant.findings()
    assert [(f.code, f.severity) for f in findings] == [said[:2]], findings
    assert said[2] in findings[0].message


@families
@containers
@pytest.mark.parametrize("fault", PREFIXES)
def test_prefixes(name: str, suffix: str, shards: int, fault: str, saved: Any, tmp_path: Path) -> None:
    change, severity, words = PREFIXES[fault]
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    total = weightscope.open(saved(name)).parameters.total
    change(plant, FAMILIES[name][0])
    # transformers knows `embed_out` only alone.
    severity = "error" if (name, fault) == ("gpt_neox", "root twice") else severity
    one(plant, ("prefix-mismatch", severity, words))
    model = weightscope.open(tmp_path)
    assert model.parameters.total == total
    assert model.summary().tensors.unrecognized == ()


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "mamba"])
@pytest.mark.parametrize(
    "fault", ["DataParallel", "PEFT", "a part", "anyone's", "another root", "root twice", "no root"]
)
def test_severity_is_what_transformers_does(name: str, fault: str, saved: Any, tmp_path: Path) -> None:
    """An error where weights are missing once transformers has loaded the model, info where none is."""
    plant = Plant.of(saved(name), tmp_path)
    PREFIXES[fault][0](plant, FAMILIES[name][0])
    (finding,) = plant.findings()
    _, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert (finding.severity == "error") is bool(info["missing_keys"])


@pytest.mark.parametrize("name", ["llama", "gpt2", "mamba"])
def test_a_pass_reads_through_a_prefix(name: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path)
    added(plant, "_orig_mod.")
    oracle = transformers.AutoModelForCausalLM.from_pretrained(saved(name)).eval()
    with torch.no_grad():
        expected = oracle(torch.tensor([[3, 4, 5]])).logits[0]
    result = weightscope.open(plant.write()).forward([3, 4, 5])
    assert torch.allclose(torch.as_tensor(result.logits), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "prefix"), [("gpt_neox", "_orig_mod."), ("gpt_neox", "model."), ("step3p5", "module.")]
)
def test_a_prefix_before_the_other_spelling(name: str, prefix: str, saved: Any, tmp_path: Path) -> None:
    """Names as transformers 5 holds them, which the type is not published with: a head's, and those without a root."""
    plant = Plant.of(saved(name), tmp_path)
    right = weightscope.open(saved(name)).parameters
    held = next(tiny for tiny in TINY if tiny.name == name).build().state_dict()
    plant.tensors = {f"{prefix}{tensor}": value for tensor, value in held.items()}
    (finding,) = (finding for finding in plant.findings() if finding.severity != "info")
    assert finding.code == "prefix-mismatch"
    assert weightscope.open(tmp_path).parameters.total == right.total


@families
@containers
def test_peft_copies(name: str, suffix: str, shards: int, saved: Any, tmp_path: Path) -> None:
    """PEFT saves a module that is trained whole twice; the trained copy counts."""
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    table = FAMILIES[name][1]
    stem = table.removesuffix(".weight")
    values = plant.tensors.pop(table)
    plant.tensors[f"{stem}.original_module.weight"] = torch.zeros_like(values)
    plant.tensors[f"{stem}.modules_to_save.default.weight"] = values
    one(
        plant,
        (
            "prefix-mismatch",
            "error",
            "contain '.modules_to_save.default.', which PEFT writes; an older copy of 1 is stored too",
        ),
    )
    assert torch.equal(weightscope.open(tmp_path).tensors[table].torch(), values)


@pytest.mark.parametrize("name", TIED)
@containers
def test_only_the_head_is_stored(name: str, suffix: str, shards: int, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    plant.tensors["lm_head.weight"] = plant.tensors.pop(FAMILIES[name][1])
    one(plant, ("tie-mismatch", "info", "the tied embedding is stored only as lm_head.weight"))
    model = weightscope.open(tmp_path)
    assert model.parameters == weightscope.open(saved(name)).parameters
    assert (model.tying.tied, model.tying.evidence) == (True, "absent-head")


@pytest.mark.parametrize("name", TIED)
@containers
def test_a_tied_head_of_other_values(name: str, suffix: str, shards: int, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    table = plant.tensors[FAMILIES[name][1]]
    plant.tensors["lm_head.weight"] = table + 1
    one(plant, ("tie-mismatch", "info", "lm_head.weight is stored too (values not compared without --values)"))
    (finding,) = plant.findings(values=True)
    assert (finding.code, finding.severity) == ("tie-mismatch", "error")
    model = weightscope.open(tmp_path)
    before = model.parameters.total
    model.compare_tied_values()
    assert (model.parameters.total or 0) - (before or 0) == table.numel()


@pytest.mark.parametrize("name", ["qwen3-tied-bias", "gpt2", "mamba"])
def test_the_stored_head_is_used_as_transformers_uses_it(name: str, saved: Any, tmp_path: Path, run: Any) -> None:
    plant = Plant.of(saved(name), tmp_path)
    torch.manual_seed(1)
    plant.tensors["lm_head.weight"] = torch.randn_like(plant.tensors[FAMILIES[name][1]])
    oracle = transformers.AutoModelForCausalLM.from_pretrained(plant.write()).eval()
    with torch.no_grad():
        expected = oracle(torch.tensor([[3, 4, 5]])).logits[0]
    result = weightscope.open(tmp_path).forward([3, 4, 5])
    assert torch.allclose(torch.as_tensor(result.logits), expected, atol=1e-4)
    code, out, _ = run("forward", tmp_path, "--tokens", "3,4,5")
    assert code == 0
    assert "warning tie-mismatch" in out
    assert "lm_head.weight was used, as transformers 5 does" in " ".join(out.split())


@pytest.mark.parametrize("name", UNTIED)
@containers
def test_neither_is_stored(name: str, suffix: str, shards: int, saved: Any, tmp_path: Path) -> None:
    """Two are lost, and both are said."""
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    head = next(n for n in plant.tensors if n in ("lm_head.weight", "embed_out.weight"))
    del plant.tensors[head], plant.tensors[FAMILIES[name][1]]
    assert {(f.code, f.severity) for f in plant.findings()} == {("missing-tensor", "error"), ("tie-mismatch", "error")}


@families
@containers
def test_a_lost_key(name: str, suffix: str, shards: int, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix, shards)
    lost = next(n for n in sorted(plant.tensors) if ".1." in n and plant.tensors[n].ndim > 1)
    del plant.tensors[lost]
    one(plant, ("missing-tensor", "error", f"1 tensor missing: {lost}"))


@families
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_leftover_shards(name: str, suffix: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix, 2)
    plant.write_shards(4, index=False)
    one(plant, ("unexpected-shard", "warning", f"4 shards of another save: {plant.stem}-00001-of-00004.{suffix}"))
    assert weightscope.open(tmp_path).parameters == weightscope.open(saved(name)).parameters


@families
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_leftover_shards_beside_one_file(name: str, suffix: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix)
    plant.write_shards(3, index=False)
    one(plant, ("unexpected-shard", "warning", "3 shards of another save"))


@families
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_an_index_of_an_older_save(name: str, suffix: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix)
    plant.write()
    (tmp_path / f"{plant.stem}.{suffix}").unlink()
    plant.write_shards(3, index=False)
    plant.write_index(dict.fromkeys(plant.tensors, f"{plant.stem}-00001-of-00001.{suffix}"))
    findings = [f for f in weightscope.open(tmp_path, tolerant=True).check() if f.code != "config-missing"]
    assert [(f.code, f.severity) for f in findings] == [("other-weights", "error")]
    assert f"{plant.index} is from another save, and its files are missing; 3 files" in findings[0].message
    assert weightscope.open(tmp_path).parameters == weightscope.open(saved(name)).parameters


@families
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_one_file_beside_shards(name: str, suffix: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, suffix, 1)
    plant.write_shards(3)
    one(plant, ("other-weights", "warning", f"two sets of weights: {plant.stem}.{suffix} was read"))


@families
@pytest.mark.parametrize("shards", [1, 3])
def test_a_set_of_another_format_is_a_note(name: str, shards: int, saved: Any, tmp_path: Path) -> None:
    Plant.of(saved(name), tmp_path, "bin", shards).write()
    plant = Plant.of(saved(name), tmp_path, "safetensors", shards)
    one(plant, ("other-weights", "info", "the weights in another format"))


@families
def test_a_whole_bin_beside_a_stale_index(name: str, saved: Any, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path, "bin")
    places = dict.fromkeys(plant.tensors, "model-00001-of-00001.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    one(plant, ("other-weights", "error", "model.safetensors.index.json is from another save"))
