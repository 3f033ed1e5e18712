"""Faults planted in adapters that PEFT wrote are caught; of what PEFT wrote itself nothing is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope as ws
from tests.adapters.peft_files import FOLDER, NAMES, PEFT, UNREAD, Tensors, base_of, changed

LAYER = "base_model.model.model.layers.0.self_attn"


@pytest.mark.parametrize("name", [name for name in NAMES if name != UNREAD])
def test_no_false_alarm_beside_the_base(name: str) -> None:
    assert not ws.open(PEFT / name, base=base_of(name)).check()


@pytest.mark.parametrize("name", [name for name in NAMES if name != UNREAD])
def test_without_a_base_that_is_said_and_nothing_else(name: str) -> None:
    findings = ws.open(PEFT / name).check()
    assert [(finding.code, finding.severity) for finding in findings] == [("adapter-mismatch", "info")]
    assert "tiny/" in findings[0].message


@pytest.mark.parametrize("base", [None, base_of(UNREAD)])
def test_a_method_that_is_not_read_is_named_and_nothing_else(base: Path | None) -> None:
    findings = ws.open(PEFT / UNREAD, base=base).check()
    assert [(finding.code, finding.severity) for finding in findings] == [("adapter-mismatch", "warning")]
    assert "hra is a method that weightscope does not read" in findings[0].message


def test_layers_that_are_repeated_are_named_and_not_checked(tmp_path: Path) -> None:
    """PEFT's `layer_replication`: layers that the base does not have are repeats of those that it has."""
    names = load_file(PEFT / "lora" / "adapter_model.safetensors")
    count = 1 + max(int(name.split(".layers.")[1].split(".")[0]) for name in names)

    def repeated(tensors: Tensors) -> Tensors:
        again = {name.replace(f".layers.{count - 1}.", f".layers.{count}."): t.clone() for name, t in tensors.items()}
        return tensors | again

    adapter = changed("lora", tmp_path, repeated, layer_replication=[[0, count], [count - 1, count]])
    (finding,) = ws.open(adapter, base=base_of("lora")).check()
    assert (finding.code, finding.severity) == ("adapter-mismatch", "warning")
    assert "layer_replication repeats layers of" in finding.message
    assert "which is not implemented" in finding.message


def test_experts_whose_numbers_end_a_word(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """NLLB's `expert_0`, under the names that PEFT gives; of an expert that the base lacks, it is said."""
    base = saved("nllb-moe")
    shapes = {n: t.shape for n, t in load_file(base / "model.safetensors").items() if n.endswith("fc1.weight")}
    assert any(".expert_2." in name for name in shapes)
    factors = write_lora(tmp_path, {name.removesuffix(".weight"): shape for name, shape in shapes.items()}, "fc1")
    assert not ws.open(tmp_path, base=base).check()
    beyond = {name.replace("expert_2", "expert_3"): factor.clone() for name, factor in factors.items()}
    save_file(factors | beyond, tmp_path / "adapter_model.safetensors")
    (finding,) = ws.open(tmp_path, base=base).check()
    assert "lacks 2 modules that the adapter changes" in finding.message


def test_names_in_memory_that_are_numbers_in_the_base(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """ERNIE's resampler: transformers calls fc1 in memory, and so PEFT, what is published as 0."""
    base = saved("ernie4_5_vl_moe")
    shapes = {n: t.shape for n, t in load_file(base / "model.safetensors").items()}
    resampler = "model.resampler_model.spatial_linear"
    modules = {f"{resampler}.fc1": shapes[f"{resampler}.0.weight"], f"{resampler}.fc2": shapes[f"{resampler}.2.weight"]}
    write_lora(tmp_path, modules, "spatial_linear.fc1", "spatial_linear.fc2")
    assert not [finding for finding in ws.open(tmp_path, base=base).check() if finding.severity == "error"]


def test_a_classifier_under_one_of_the_two_names_that_peft_gives(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """For SEQ_CLS and TOKEN_CLS, PEFT has classifier and score saved, whichever the model has."""
    base = saved("bert-classifier")
    weights = load_file(base / "model.safetensors")
    queries = {n.removesuffix(".weight"): t.shape for n, t in weights.items() if n.endswith("query.weight")}
    factors = write_lora(tmp_path, queries, "query")
    head = {f"base_model.model.classifier.{part}": weights[f"classifier.{part}"] for part in ("weight", "bias")}
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    settings |= {"modules_to_save": ["classifier", "score"], "task_type": "SEQ_CLS"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    save_file(factors | head, tmp_path / "adapter_model.safetensors")
    assert not ws.open(tmp_path, base=base).check()
    save_file(factors, tmp_path / "adapter_model.safetensors")
    (finding,) = ws.open(tmp_path, base=base).check()
    assert finding.message == "modules_to_save names classifier, score, of which no tensor is stored"


def test_targets_that_are_left_out_again_are_not_idle(tmp_path: Path) -> None:
    """PEFT writes `all-linear` as the names of all linear modules, with those that `exclude_modules` leaves out."""
    targets = ["q_proj", "v_proj", "down_proj", "up_proj"]
    adapter = changed("lora", tmp_path, target_modules=targets, exclude_modules=r".*\.up_proj")
    assert not ws.open(adapter, base=base_of("lora")).check()
    assert [finding.severity for finding in ws.open(adapter).check()] == ["info"]


def write_lora(folder: Path, modules: Mapping[str, tuple[int, ...]], *targets: str) -> Tensors:
    """A LoRA of rank 2 for matrices of these shapes, under the names that PEFT gives; and its tensors."""
    factors: Tensors = {}
    for module, (rows, columns) in modules.items():
        path = f"base_model.model.{module}"
        factors |= {f"{path}.lora_A.weight": torch.ones(2, columns), f"{path}.lora_B.weight": torch.ones(rows, 2)}
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": targets, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(factors, folder / "adapter_model.safetensors")
    return factors


class Fault(NamedTuple):
    """Something wrong: how it comes about, and what the message has to say."""

    says: str
    name: str = "lora"
    tensors: Callable[[Tensors], Tensors] | None = None
    settings: Mapping[str, Any] = MappingProxyType({})
    code: str = "adapter-mismatch"
    severity: str = "error"


def without(*ends: str) -> Callable[[Tensors], Tensors]:
    """Less the tensors whose names end so."""
    return lambda tensors: {name: value for name, value in tensors.items() if not name.endswith(ends)}


def resized(end: str, *shape: int) -> Callable[[Tensors], Tensors]:
    """One tensor of another shape."""
    return lambda tensors: {n: torch.zeros(shape) if n.endswith(end) else value for n, value in tensors.items()}


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    """Other names."""
    return lambda tensors: {name.replace(old, new): value for name, value in tensors.items()}


FAULTS = {
    "a factor is lost": Fault(
        "layers.0.self_attn.q_proj: lora_B is missing", tensors=without("0.self_attn.q_proj.lora_B.weight")
    ),
    "a module is lost": Fault(
        "1 module of the base that target_modules means has no tensors in the adapter: model.layers.1.self_attn.v_proj",
        tensors=without("1.self_attn.v_proj.lora_A.weight", "1.self_attn.v_proj.lora_B.weight"),
    ),
    "a layer is lost": Fault(
        "3 modules of the base", tensors=lambda tensors: {n: v for n, v in tensors.items() if "layers.1." not in n}
    ),
    "the ranks of the factors differ": Fault(
        "lora_A has rank 4, but lora_B has rank 5", tensors=resized("0.self_attn.q_proj.lora_B.weight", 24, 5)
    ),
    "the settings have another rank": Fault("rank 4, but the settings say 8", settings={"r": 8}),
    "a pattern has another rank": Fault(
        "v_proj: rank 4, but the settings say 16", settings={"rank_pattern": {"v_proj": 16}}
    ),
    "other sizes": Fault(
        "would have to be [24, 30], but", tensors=resized("0.self_attn.q_proj.lora_A.weight", 4, 30)
    ),
    "a factor is turned": Fault("lora_A has rank 24", tensors=resized("0.self_attn.q_proj.lora_A.weight", 24, 4)),
    "a layer that the base lacks": Fault(
        "lacks 3 modules that the adapter changes: model.layers.7", tensors=renamed("layers.1.", "layers.7.")
    ),
    "no module of the base": Fault(
        "an adapter for another base", tensors=renamed("model.model.layers", "model.transformer.h"),
        settings={"target_modules": ["q_proj", "v_proj", "down_proj"]},
    ),
    "a target that nothing has": Fault(
        "target_modules names wqkv, but", settings={"target_modules": ["q_proj", "v_proj", "down_proj", "wqkv"]},
        severity="warning",
    ),
    "a module that is no target": Fault(
        "2 modules not among target_modules: model.layers.{0–1}.mlp.down_proj",
        settings={"target_modules": ["q_proj", "v_proj"]},
    ),
    "magnitudes are lost": Fault(
        "lora_magnitude_vector is missing", "dora", without("0.mlp.up_proj.lora_magnitude_vector")
    ),
    "magnitudes of other rows": Fault(
        "lora_magnitude_vector is [24], not [40]", "dora", resized("0.mlp.up_proj.lora_magnitude_vector", 24)
    ),
    "a saved module is lost": Fault(
        "modules_to_save names lm_head, of which no tensor", "saved", without("lm_head.weight")
    ),
    "a saved module of other sizes": Fault("would have to be [40, 24]", "saved", resized("lm_head.weight", 40, 24)),
    "trained rows are lost": Fault("tokens were trained, and their rows are not stored", "tokens", without("_delta")),
    "fewer rows than tokens": Fault(
        "[2, 24] are stored for 3 trained tokens", "tokens", settings={"trainable_token_indices": [3, 7, 9]}
    ),
    "a token that the base lacks": Fault(
        "row 99 of model.embed_tokens.weight was trained", "tokens", settings={"trainable_token_indices": [3, 99]}
    ),
    "a table of more tokens": Fault(
        "would have to be [41, 24]", "embedding", resized("embed_tokens.base_layer.weight", 41, 24)
    ),
    "a tensor of nothing": Fault(
        "not part of LoRA", tensors=lambda tensors: tensors | {f"{LAYER}.q_proj.lora_Z.weight": torch.zeros(3)},
        code="unexpected-tensor", severity="warning",
    ),
    "not gathered": Fault("saved before they were gathered", tensors=resized("0.self_attn.q_proj.lora_A.weight", 0)),
    "a factor of LoHa is lost": Fault("q_proj: hada_w1_a is missing", "loha", without("0.self_attn.q_proj.hada_w1_a")),
    "factors of LoKr do not fit": Fault("do not fit", "lokr", resized("0.self_attn.q_proj.lokr_w2_a", 6, 3)),
    "a vector of IA3 is none": Fault("not a vector", "ia3", resized("0.self_attn.k_proj.ia3_l", 8, 3)),
    "a vector of IA3 of other sizes": Fault(
        "would have to be [9], but", "ia3", resized("0.self_attn.k_proj.ia3_l", 9, 1)
    ),
    "vectors of prompts of other sizes": Fault("vectors of 25 numbers", "prompt", resized("prompt_embeddings", 4, 25)),
    "the singular values are lost": Fault("lora_E is missing", "adalora", without("0.self_attn.q_proj.lora_E")),
    "singular values of another rank": Fault("do not fit", "adalora", resized("0.self_attn.q_proj.lora_E", 2, 1)),
    "AdaLoRA kept other ranks": Fault(
        "v_proj: rank 1, but the settings say 3", "adalora-kept",
        settings={"rank_pattern": {"model.layers.1.self_attn.v_proj.lora_E": [True, True, True]}},
    ),
    "VeRA's matrix is too narrow": Fault(
        "vera_A has 39 columns, fewer than the 40 inputs of", "vera",
        tensors=resized("vera_A", 5, 39),
    ),
    "VeRA's matrices are of another rank": Fault("do not fit vectors of 24 and 5", "vera", resized("vera_B", 24, 4)),
    "rotations of other blocks": Fault(
        "would have to be [20]", "oft", resized("0.self_attn.q_proj.oft_R.weight", 5, 6)
    ),
    "no rotations at all": Fault("holds no rotations", "oft", resized("0.self_attn.q_proj.oft_R.weight", 6, 5)),
    "a block that does not divide": Fault(
        "blocks of 7 does not divide the 24 inputs of model.layers.0.self_attn.q_proj.weight", "oft-shared",
        resized("0.self_attn.q_proj.oft_R.weight", 1, 21),
    ),
    "the scales of BOFT are lost": Fault("boft_s is missing", "boft", without("0.self_attn.q_proj.boft_s")),
    "blocks that are no squares": Fault("do not fit", "boft", resized("0.self_attn.q_proj.boft_R", 1, 6, 4, 3)),
    "no rank at all": Fault("'r' is 0, not a whole number", settings={"r": 0}, code="config-invalid"),
    "no method": Fault("lacks 'peft_type'", settings={"peft_type": None}, code="config-invalid"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_is_caught(fault: Fault, tmp_path: Path, run: Any) -> None:
    adapter = changed(fault.name, tmp_path, fault.tensors, **fault.settings)
    code, out, _ = run("check", adapter, "--base", base_of(fault.name), "--json")
    findings = json.loads(out)["findings"]
    assert [(f["code"], f["severity"]) for f in findings if fault.says in f["message"]] == [
        (fault.code, fault.severity)
    ]
    assert code == (fault.severity == "error")


def test_an_adapter_for_a_model_of_other_sizes_is_one_finding(tmp_path: Path) -> None:
    config = json.loads((FOLDER / "bases" / "llama" / "config.json").read_text())
    wider = config | {"hidden_size": 48, "num_attention_heads": 6, "intermediate_size": 80, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(wider))
    findings = ws.open(PEFT / "lora", base=tmp_path / "config.json").check()
    assert [finding.code for finding in findings] == ["adapter-mismatch"]
    assert "an adapter for another base" in findings[0].message


def test_an_adapter_for_another_architecture_is_one_finding() -> None:
    findings = ws.open(PEFT / "lora", base=base_of("gpt2")).check()
    assert [finding.code for finding in findings if finding.severity == "error"] == ["adapter-mismatch"]
    assert "none of its 6 weights" in findings[0].message


def test_an_adapter_without_its_config(tmp_path: Path, run: Any) -> None:
    shutil.copy(PEFT / "lora" / "adapter_model.safetensors", tmp_path)
    code, out, _ = run("check", tmp_path, "--json")
    (missing, base) = json.loads(out)["findings"]
    assert (missing["code"], missing["severity"], code) == ("config-missing", "error", 1)
    assert "adapter_config.json" in missing["message"]
    assert base["severity"] == "info"


def test_a_head_of_its_own_is_no_fault(tmp_path: Path) -> None:
    adapter = changed(
        "lora", tmp_path, lambda tensors: tensors | {"base_model.model.score.weight": torch.zeros(2, 24)},
        modules_to_save=["score"],
    )  # fmt: skip
    findings = ws.open(adapter, base=base_of("lora")).check()
    assert [(finding.code, finding.severity) for finding in findings] == [("adapter-mismatch", "info")]


@pytest.mark.parametrize("packed", [False, True])
def test_a_base_that_no_family_declares(packed: bool, tmp_path: Path) -> None:
    base = shutil.copytree(base_of("lora"), tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "of my own"}))
    if packed:
        weights = load_file(base / "model.safetensors")
        save_file({n.replace("proj.weight", "proj.qweight"): v for n, v in weights.items()}, base / "model.safetensors")
    said = [finding.severity for finding in ws.open(PEFT / "lora", base=base).check()]
    assert said == ["info"] * packed
    wrong = changed("lora", tmp_path, renamed("layers.1.", "layers.7."))
    findings = ws.open(wrong, base=base).check()
    assert "lacks 3 modules that the adapter changes: model.layers.7" in " ".join(f.message for f in findings)
