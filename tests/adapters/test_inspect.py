"""What an adapter is said to be: the counts are PEFT's own (fixtures/adapters/expected.json)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import weightscope as ws
from tests.adapters.peft_files import EXPECTED, NAMES, PEFT, base_of

# An encoder that makes the vectors is trained and not stored; of a method that is not read, nobody knows.
NOT_STORED = {"p-tuning", "hra"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_STORED])
def test_trainable_parameters_are_those_that_peft_counts(name: str) -> None:
    info = ws.open(PEFT / name).summary().adapter
    assert info
    assert info.trainable == EXPECTED["counts"][name]["trainable"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_STORED])
def test_the_share_is_of_the_base(name: str) -> None:
    counts = EXPECTED["counts"][name]
    info = ws.open(PEFT / name, base=base_of(name)).summary().adapter
    assert info
    assert info.base_parameters == ws.open(base_of(name)).parameters.total
    # What PEFT calls all is the base and what is added: trained biases are the base's, AdaLoRA counts its ranks too.
    extra = {"biases": -64, "all-biases": -128, "adalora": 4, "adalora-kept": 4}.get(name, 0)
    assert info.base_parameters + counts["trainable"] + extra == counts["all"]
    assert info.share == pytest.approx(counts["trainable"] / info.base_parameters)


@pytest.mark.parametrize("name", sorted(NOT_STORED))
def test_how_much_was_trained_is_not_guessed(name: str) -> None:
    info = ws.open(PEFT / name).summary().adapter
    assert info
    assert (info.trainable, info.share) == (None, None)


def test_a_lora_in_words(run: Any) -> None:
    code, out, _ = run("inspect", PEFT / "patterns", "--base", base_of("patterns"), "--json")
    assert code == 0
    adapter = json.loads(out)["adapter"]
    assert {key: adapter[key] for key in ("library", "method", "words", "rank", "alpha", "base", "trainable")} == {
        "library": "peft", "method": "lora", "words": "LoRA (rank-stabilized)", "rank": 4, "alpha": 6.0,
        "base": "tiny/llama", "trainable": 928,
    }  # fmt: skip
    keys = ("module", "role", "modules", "ranks")
    assert [tuple(target[key] for key in keys) for target in adapter["targets"]] == [
        ("gate_proj", "gate_proj", 2, [3]), ("q_proj", "q_proj", 2, [2, 4]), ("v_proj", "v_proj", 2, [4]),
    ]  # fmt: skip
    # alpha / √rank: 6/√2, 6/√3, 6/√4, and 5/√4 of layer 1's v_proj.
    assert adapter["scales"] == pytest.approx([5 / 2, 6 / 2, 6 / 3**0.5, 6 / 2**0.5])


def test_the_table_says_it_too(run: Any) -> None:
    code, out, _ = run("inspect", PEFT / "saved", "--base", base_of("saved"))
    assert code == 0
    assert "LoRA adapter" in out
    assert "q_proj: 2 modules, rank 2, 192 parameters" in out
    assert "1,208 parameters   11.1 % of the base" in out


def test_a_frozen_table_beside_is_not_counted() -> None:
    model = ws.open(PEFT / "embedding")
    info = model.summary().adapter
    assert info
    assert info.frozen == 2 * 37 * 24
    assert model.parameters.total == info.trainable == 654


@pytest.mark.parametrize("command", [("params", "--by", "role"), ("tensors",)])
def test_other_commands_take_an_adapter(command: tuple[str, ...], run: Any) -> None:
    code, out, _ = run(*command, PEFT / "dora", "--json")
    assert code == 0
    assert "lora_magnitude" in out
    assert json.loads(out)["model"]["recognized"]


def test_one_file_of_it_is_the_adapter(tmp_path: Path) -> None:
    file = PEFT / "lora" / "adapter_model.safetensors"
    assert ws.open(file).summary().adapter == ws.open(PEFT / "lora").summary().adapter
    alone = tmp_path / "renamed.safetensors"
    shutil.copy(file, alone)
    info = ws.open(alone).summary().adapter
    assert info
    assert (info.ranks, info.scales, info.base) == ((4,), (), None)


def test_a_base_without_an_adapter_is_refused(run: Any) -> None:
    code, _, error = run("inspect", base_of("lora"), "--base", base_of("lora"))
    assert code == 2
    assert "--base requires an adapter" in error


def test_an_adapter_is_no_base(run: Any) -> None:
    code, _, error = run("check", PEFT / "lora", "--base", PEFT / "dora")
    assert code == 2
    assert "--base names an adapter" in error


def test_the_base_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "a" * 40
    repo = tmp_path / "models--tiny--llama"
    shutil.copytree(base_of("lora"), repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr("weightscope.checkpoint.cached.cache_folder", lambda: tmp_path)
    model = ws.open(PEFT / "lora")
    assert model.base
    assert not model.check()


def test_settings_without_weights_are_said_to_be_that(tmp_path: Path, run: Any) -> None:
    shutil.copy(PEFT / "lora" / "adapter_config.json", tmp_path)
    code, _, error = run("inspect", tmp_path)
    assert code == 2
    assert "has the settings of an adapter, but not its weights" in error


def test_a_tensor_is_explained_by_what_it_changes(run: Any) -> None:
    name = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"
    code, out, _ = run("explain", PEFT / "dora", name, "--base", base_of("dora"), "--json")
    tensor = json.loads(out)["tensor"]
    assert code == 0
    # alpha 9 over rank 3.
    assert tensor["terms"] == ["(m / |W + 3·B·A|)·(W + 3·B·A)"]
    assert tensor["notes"] == ["Changes model.layers.0.mlp.up_proj.weight, up_proj [40, 24] of the base."]
    assert tensor["beside"]["roles"] == ["lora_b", "lora_magnitude"]


def test_an_adapter_in_the_cache_needs_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "b" * 40
    repo = tmp_path / "models--tiny--lora"
    shutil.copytree(PEFT / "lora", repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr("weightscope.checkpoint.cached.cache_folder", lambda: tmp_path)
    assert ws.open("tiny/lora").adapter


def test_stacked_experts_are_told_by_their_parameters() -> None:
    info = ws.open(PEFT / "experts", base=base_of("experts")).summary().adapter
    assert info
    targets = [(target.module, target.role, target.modules, target.ranks) for target in info.targets]
    assert targets[:3] == [
        ("gate_up_proj", "gate_proj + up_proj", 2, (4,)), ("down_proj", "down_proj", 2, (2,)),
        ("gate", "router", 2, (2,)),
    ]  # fmt: skip


# Names as older versions of PEFT, and state dicts that were saved as they are in memory, have them.
OLDER = {
    "base_model.model.lm_head.modules_to_save.weight": (37, 24),
    "base_model.model.lm_head.original_module.weight": (37, 24),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": (2, 24),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight": (24, 2),
    "base_model.model.model.layers.1.self_attn.q_proj.lora_A.default.weight": (2, 24),
    "base_model.model.model.layers.1.self_attn.q_proj.lora_B.default.weight": (24, 2),
}


def test_older_names_are_read_too(tmp_path: Path) -> None:
    save_file({name: torch.ones(shape) for name, shape in OLDER.items()}, tmp_path / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["q_proj"],
        "modules_to_save": ["lm_head"],
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    model = ws.open(tmp_path, base=base_of("lora"))
    info = model.summary().adapter
    assert info
    assert (info.trainable, info.frozen) == (37 * 24 + 4 * 48, 37 * 24)
    assert not model.check()
    # All of the head's rows are alike, and so are the logits.
    logits = ws.open(base_of("lora")).forward([1, 2], adapter=tmp_path).logits
    assert float((logits - logits[:, :1]).abs().max()) < 1e-4


def test_an_adapter_in_a_folder_of_its_own_is_named(tmp_path: Path, run: Any) -> None:
    """PEFT puts every adapter that is not called `default` into one."""
    shutil.copytree(PEFT / "lora", tmp_path / "french")
    (tmp_path / "README.md").write_text("")
    code, _, error = run("inspect", tmp_path)
    assert code == 2
    assert "the adapter here is in a folder of its own, french" in error
