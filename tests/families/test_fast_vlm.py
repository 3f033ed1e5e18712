"""FastVLM, held against what timm's tower and transformers' model make of it; fixtures/timm has both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import weightscope
from fixtures.timm import fast_vlm as made
from fixtures.timm.gemma3n import digest, images
from tests.forward import seeing
from tests.forward.test_gemma3n_images import declared
from weightscope.components.walk import walk
from weightscope.config import Config
from weightscope.errors import ConfigError, UsageError
from weightscope.families.declaration import declare
from weightscope.families.multimodal.fast_vlm import VISION
from weightscope.families.siblings.fastvit import fastvit

THEIRS = json.loads(made.MADE.read_text())
PIXELS = {"pixel_values": images(made.UNEVEN, 2)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the fixture, its weights drawn under the names that we declare."""
    directory = tmp_path_factory.mktemp("fast_vlm")
    (directory / "config.json").write_text(json.dumps(THEIRS["config"]))
    weights = {name: made.drawn(name, shape) for name, shape in declared(directory).items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def test_names_shapes_and_count(small: Path) -> None:
    assert digest(declared(small)) == THEIRS["digest"]
    model = weightscope.open(small)
    assert model.parameters.total == THEIRS["parameters"]
    assert [finding for finding in model.check() if finding.severity != "info"] == []


def test_the_tower_at_its_full_size() -> None:
    vision = {"architecture": "fastvit_mci3", "model_args": {"inference_mode": True}}
    tower = fastvit(Config(vision).with_defaults(VISION), "")
    shapes = {name: tuple(map(int, slot.stored.shape)) for slot in walk(tower) for name in slot.names()}
    assert digest(shapes) == THEIRS["tower"]


def test_logits_of_two_images(small: Path) -> None:
    expected = torch.tensor(THEIRS["logits"])
    assert seeing.off(seeing.ours(small, made.TOKENS, PIXELS)[-6:], expected) < 1e-4
    wide = seeing.ours(small, made.TOKENS, PIXELS, compute_dtype="float64")
    # Norms of transformers' language model compute in float32.
    assert seeing.off(wide[-6:], expected) < 1e-5


def test_every_kind_of_matrix_moves_the_logits(small: Path) -> None:
    """Of those that are called alike in their blocks, the last; the first convolutions move them least."""
    names = {re.sub(r"(blocks|stages|stem)\.\d+\.", "", name): name for name in declared(small)}
    eye = [name for name in names.values() if "vision_tower" in name and name.endswith(("weight", "gamma"))]
    assert len(eye) > 15
    inputs = {"pixel_values": images((33, 49), 1)}
    assert seeing.unmoving(small, [1, made.IMAGE, 5], inputs, eye, least=1e-4) == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "fastvit_mci4"}, "architecture 'fastvit_mci4' is not declared"),
        ({"model_args": None}, "whose tower has branches"),
        ({"model_args": {"inference_mode": True, "embed_dims": [8] * 5}}, "each a multiple"),
        ({"model_args": {"inference_mode": True, "layers": [1, 2]}}, "not 5 numbers"),
        ({"model_args": {"inference_mode": True, "cls_ratio": 1}}, "argument cls_ratio of timm"),
    ],
)
def test_other_towers_are_refused(change: dict[str, Any], said: str) -> None:
    config = THEIRS["config"] | {"vision_config": THEIRS["config"]["vision_config"] | change}
    with pytest.raises(ConfigError, match=said):
        declare(Config(config))


def test_a_bridge_that_does_not_fit_is_said(tmp_path: Path) -> None:
    config = THEIRS["config"] | {"vision_config": THEIRS["config"]["vision_config"] | {"hidden_size": 64}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = [finding.message for finding in weightscope.open(tmp_path / "config.json").check()]
    assert any("the vision tower puts out 128 features, and vision_config.hidden_size is 64" in text for text in found)


def test_images_that_do_not_fit(small: Path) -> None:
    with pytest.raises(UsageError, match=r"12 image tokens .* need 4"):
        weightscope.open(small).forward(made.TOKENS, pixel_values=images((64, 65), 2))
