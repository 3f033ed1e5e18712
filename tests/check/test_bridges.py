"""A projector that does not fit its vision tower or its language model is one finding, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.check.planting import Plant
from tests.families.tiny import TINY
from weightscope.findings import Finding

Saved = Callable[[str], Path]
# Every type that has a tower and a projector, in each of its tiny models.
SEEING = [tiny.name for tiny in TINY if tiny.model == "ForConditionalGeneration"]


def errors(path: Path) -> list[Finding]:
    return [finding for finding in weightscope.open(path).check() if finding.severity == "error"]


def resized(plant: Plant, where: str, widths: dict[int, int]) -> None:
    """Tensors whose name has `where` as another model has them: each dimension of a size gets the new one."""
    for name, tensor in plant.tensors.items():
        if where in name:
            plant.tensors[name] = torch.rand([widths.get(size, size) for size in tensor.shape])


def one(path: Path) -> Finding:
    (finding,) = errors(path)
    return finding


@pytest.mark.parametrize("name", SEEING)
def test_models_that_transformers_saved_have_no_such_finding(name: str, saved: Saved) -> None:
    assert errors(saved(name)) == []
    assert not [f for f in weightscope.open(saved(name) / "config.json").check() if "projector" in f.message]


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_llava_with_the_projector_of_another_tower(suffix: str, tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model", suffix)
    resized(plant, "multi_modal_projector.linear_1.weight", {20: 28})
    finding = one(plant.write())
    assert finding.code == "shape-mismatch"
    assert finding.message.startswith("the projector takes 28 features, but the vision tower puts out 20: ")
    assert finding.message.endswith("linear_1.weight is [24, 28], but config.json gives [24, 20]")
    assert finding.hint == "the rest fits config.json: the projector is from another model"
    assert finding.config == ("vision_config.hidden_size",)
    assert (finding.expected, finding.actual) == ([24, 20], [24, 28])


def test_llava_with_the_projector_of_another_language_model(tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "multi_modal_projector", {24: 32})
    finding = one(plant.write())
    assert finding.message.startswith("the projector puts out 32 features, but the language model's hidden size is 24:")
    assert finding.hint == "the rest fits config.json: the projector is from another model"
    # Both matrices and both biases are the one cause.
    assert len(list(finding.names)) == 4


def test_llava_with_a_projector_that_fits_neither(tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "multi_modal_projector", {24: 32, 20: 28})
    assert one(plant.write()).message.startswith(
        "the projector takes 28 features, but the vision tower puts out 20, "
        "and it puts out 32 features, but the language model's hidden size is 24: "
    )


def test_llava_with_another_tower(tmp_path: Path, saved: Saved) -> None:
    """All of the tower's tensors are wrong, and that is one finding."""
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "vision_tower", {20: 28, 44: 60})
    finding = one(plant.write())
    assert finding.message.startswith("the projector takes 20 features, but the vision tower puts out 28: ")
    assert finding.hint == "the rest fits config.json: the vision tower is from another model"


def test_llava_with_another_language_model(tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "language_model", {24: 30})
    resized(plant, "lm_head", {24: 30})
    finding = one(plant.write())
    assert finding.message.startswith("the projector puts out 24 features, but the language model's hidden size is 30:")
    assert finding.hint == "the rest fits config.json: the language model is from another model"


def test_llava_with_the_projector_and_tower_of_another_model(tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "vision_tower", {20: 28, 44: 60})
    resized(plant, "multi_modal_projector", {20: 28, 24: 32})
    finding = one(plant.write())
    assert finding.message.startswith("the projector puts out 32 features, but the language model's hidden size is 24:")
    assert finding.hint == "the rest fits config.json: the projector and the vision tower are from another model"


QWEN = ["qwen2_vl", "qwen2_vl-tied", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"]


@pytest.mark.parametrize("name", QWEN)
def test_a_merger_of_another_tower(name: str, tmp_path: Path, saved: Saved) -> None:
    """Squares of 2 × 2 patches of 16 are 64 features; a tower of 24 makes 96 of them."""
    plant = Plant.of(saved(name), tmp_path / "model")
    resized(plant, "merger", {16: 24, 64: 96})
    finding = one(plant.write())
    assert finding.code == "shape-mismatch"
    assert finding.message.startswith(
        "the projector takes 96 features (4 × 24), but the vision tower puts out 4 × 16 = 64: "
    )
    assert finding.hint == "the rest fits config.json: the projector is from another model"


@pytest.mark.parametrize("name", QWEN)
def test_a_merger_of_another_language_model(name: str, tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved(name), tmp_path / "model")
    resized(plant, "merger", {48: 40})
    finding = one(plant.write())
    assert finding.message.startswith("the projector puts out 40 features, but the language model's hidden size is 48:")
    assert finding.hint == "the rest fits config.json: the projector is from another model"


@pytest.mark.parametrize("name", QWEN)
def test_a_merger_beside_another_tower(name: str, tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved(name), tmp_path / "model")
    towers = ("patch_embed", "pos_embed", "blocks")
    for part in towers:
        resized(plant, f"visual.{part}", {16: 24, 3 * 16: 3 * 24})
    finding = one(plant.write())
    assert finding.message.startswith(
        "the projector takes 64 features (4 × 16), but the vision tower puts out 4 × 24 = 96: "
    )
    assert finding.hint == "the rest fits config.json: the vision tower is from another model"


def changed(path: Path, target: Path, keys: Iterable[str], value: int) -> Path:
    """A config.json alone with one key changed."""
    data: dict[str, Any] = json.loads((path / "config.json").read_text())
    place = data
    *above, last = keys
    for key in above:
        place = place[key]
    place[last] = value
    (target / "config.json").write_text(json.dumps(data))
    return target / "config.json"


OUTPUTS = {
    "qwen2_vl": "hidden_size", "qwen2_5_vl": "out_hidden_size", "qwen3_vl": "out_hidden_size",
    "qwen3_5_moe": "out_hidden_size",
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), OUTPUTS.items())
def test_a_config_that_contradicts_itself(name: str, key: str, tmp_path: Path, saved: Saved) -> None:
    """The tower's config has a key for the projector's output; here it is not the language model's width."""
    path = changed(saved(name), tmp_path, ("vision_config", key), 40)
    found = [f for f in weightscope.open(path).check() if f.code == "config-invalid" and f.severity == "error"]
    assert [f.message for f in found] == [
        "config.json: the projector puts out 40 features, but the language model's hidden size is 48"
    ]
    assert found[0].config == (f"vision_config.{key}", "text_config.hidden_size")


@pytest.mark.parametrize(("name", "key"), OUTPUTS.items())
def test_a_wrong_key_beside_sound_weights_is_said_as_before(name: str, key: str, tmp_path: Path, saved: Saved) -> None:
    """Tower, projector and language model fit each other; only config.json is wrong, and its key is named."""
    plant = Plant.of(saved(name), tmp_path / "model")
    plant.config["vision_config"][key] = 40
    found = errors(plant.write())
    assert {f.code for f in found} == {"shape-mismatch"}
    assert all(f"fits vision_config.{key} = 48" in f.hint for f in found)


def test_a_wrong_width_of_llava_beside_sound_weights_is_said_as_before(tmp_path: Path, saved: Saved) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    plant.config["text_config"]["hidden_size"] = 36
    assert not [f for f in errors(plant.write()) if "the projector takes" in f.message or "puts out" in f.message]


def test_one_damaged_matrix_is_not_said_to_be_the_projector(tmp_path: Path, saved: Saved) -> None:
    """One of two deepstack mergers is from elsewhere: the others fit."""
    plant = Plant.of(saved("qwen3_vl"), tmp_path / "model")
    resized(plant, "deepstack_merger_list.1.linear_fc1.weight", {64: 96})
    finding = one(plant.write())
    assert "deepstack_merger_list.1.linear_fc1.weight" in finding.message
    assert "takes" not in finding.message


def test_inspect_says_it_too(tmp_path: Path, saved: Saved, run: Callable[..., tuple[int, str, str]]) -> None:
    plant = Plant.of(saved("llava"), tmp_path / "model")
    resized(plant, "multi_modal_projector.linear_1.weight", {20: 28})
    _, out, _ = run("inspect", plant.write())
    assert "the projector takes 28 features, but the vision tower puts out 20" in " ".join(out.split())
