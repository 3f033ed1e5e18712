"""Perception-LM, held against what timm's tower and transformers' model make of it; fixtures/timm has both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import weightscope
from fixtures.timm import perception_lm as made
from fixtures.timm.gemma3n import digest, drawn
from tests.forward import seeing
from tests.forward.test_gemma3n_images import declared

THEIRS = json.loads(made.MADE.read_text())
every_model = pytest.mark.parametrize("name", made.MODELS)
TOWER = "model.vision_tower.timm_model."


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A model of the fixture, its weights drawn under the names that we declare."""
    base = tmp_path_factory.mktemp("perception_lm")

    def make(name: str) -> Path:
        directory = base / name
        if not directory.exists():
            directory.mkdir()
            (directory / "config.json").write_text(json.dumps(THEIRS[name]["config"]))
            weights = {key: drawn(key, shape) for key, shape in declared(directory).items()}
            save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        return directory

    return make


def changed(directory: Path, target: Path, **args: object) -> Path:
    """A config with other arguments of timm; `whole_` begins keys of the whole, `vision_` those of the tower."""
    config = json.loads((directory / "config.json").read_text())
    for key, value in args.items():
        if key.startswith("whole_"):
            config[key.removeprefix("whole_")] = value
        elif key.startswith("vision_"):
            config["vision_config"][key.removeprefix("vision_")] = value
        else:
            config["vision_config"]["model_args"][key] = value
    (target / "config.json").write_text(json.dumps(config))
    return target / "config.json"


@every_model
def test_names_shapes_and_counts(name: str, small: Callable[[str], Path]) -> None:
    directory = small(name)
    assert digest(declared(directory)) == THEIRS[name]["digest"]
    model = weightscope.open(directory)
    assert model.parameters.total == THEIRS[name]["total"]
    assert [finding.code for finding in model.check() if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    assert model.tying.tied is (name == "gigantic")


@pytest.mark.parametrize("name", THEIRS["towers"])
def test_whole_towers(name: str, small: Callable[[str], Path], tmp_path: Path) -> None:
    """timm's own sizes, less what pools."""
    found = changed(small("large"), tmp_path, vision_architecture=name, vision_model_args={"global_pool": ""}).parent
    tower = {key.removeprefix(TOWER): shape for key, shape in declared(found).items() if key.startswith(TOWER)}
    assert digest(tower) == THEIRS["towers"][name]


@every_model
def test_logits_of_two_crops_and_of_text(name: str, small: Callable[[str], Path]) -> None:
    directory, tokens = small(name), made.tokens(name)
    expected, images = torch.tensor(THEIRS[name]["logits"]), {"pixel_values": made.pixels(2)}
    found = seeing.ours(directory, tokens, images, compute_dtype="float64")
    assert seeing.off(found[-4:], expected) < 1e-6
    other = {"pixel_values": made.pixels(2).flip(1)}
    assert seeing.off(seeing.ours(directory, tokens, other), found) > 1e-2
