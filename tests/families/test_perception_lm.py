"""Perception-LM, held against what timm's tower and transformers' model make of it; fixtures/timm has both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import weightscope
from fixtures.timm import perception_lm as made
from fixtures.timm.gemma3n import digest, drawn
from tests.forward import seeing
from tests.forward.test_gemma3n_images import declared
from tests.forward.test_patched_image import photograph
from tests.forward.test_siglip_image import words
from weightscope.analyses.forward.images import read_images
from weightscope.analyses.forward.images.perception_lm import grid
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError, WeightscopeError

Run = Callable[..., tuple[int, str, str]]
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


def test_every_tensor_of_the_eye_moves_the_logits(small: Callable[[str], Path], tmp_path: Path) -> None:
    for file in small("large").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    names = [name for name in declared(tmp_path) if "language_model" not in name and "blocks.1" not in name]
    names = [name for name in names if name != "lm_head.weight"]
    assert len(names) == 23
    assert seeing.unmoving(tmp_path, made.tokens("large"), {"pixel_values": made.pixels(2)}, names) == set()


@pytest.mark.parametrize(
    ("whole", "part", "tied"),
    [
        (None, None, False), (None, False, False), (None, True, True), (False, None, False), (False, False, False),
        (False, True, False), (True, None, True), (True, False, True), (True, True, True),
    ],
)  # fmt: skip
def test_who_decides_on_tying(
    whole: bool | None, part: bool | None, tied: bool, small: Callable[[str], Path], tmp_path: Path
) -> None:
    """As transformers 5.23 ties them around timm's tower."""
    config = json.loads((small("large") / "config.json").read_text())
    for keys, value in ((config, whole), (config["text_config"], part)):
        keys.pop("tie_word_embeddings", None)
        if value is not None:
            keys["tie_word_embeddings"] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert ("lm_head.weight" not in declared(tmp_path)) is tied


def test_text_alone(small: Callable[[str], Path], tmp_path: Path) -> None:
    """The language model by itself, under the names that it has alone."""
    tensors = load_file(small("large") / "model.safetensors")
    own = {
        key.replace(".language_model", ""): t for key, t in tensors.items() if "language_model" in key or "lm_" in key
    }
    save_file(own, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = THEIRS["large"]["config"]["text_config"] | {"architectures": ["LlamaForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    oracle = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = oracle(torch.tensor([[1, 7, 5, 9]])).logits[0]
    assert seeing.off(seeing.ours(small("large"), [1, 7, 5, 9]), expected) < 1e-4


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"vision_architecture": "resnet50"}, "architecture 'resnet50' is not declared"),
        ({"rope_temperature": 100.0}, "the argument rope_temperature of timm"),
        ({"global_pool": "map"}, "global_pool 'map' is not declared"),
        ({"global_pool": "avg"}, "global_pool 'avg' is not declared"),
        ({"img_size": [56, 70]}, "img_size of 56 × 70 is not declared"),
        ({"img_size": "56"}, "img_size is '56', not one or two positive whole numbers"),
        ({"num_heads": 3}, "must be a multiple of 4"),
        ({"depth": "2"}, "model_args.depth' is '2'"),
    ],
)
def test_towers_that_are_not_declared_are_said(
    keys: dict[str, Any], said: str, small: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(WeightscopeError, match=said):
        weightscope.open(changed(small("large"), tmp_path, **keys)).check()


def test_a_crop_that_is_no_square_of_vectors(small: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers has no means of 17 vectors."""
    changed(small("large"), tmp_path, whole_vision_use_cls_token=False)
    (tmp_path / "model.safetensors").symlink_to(small("large") / "model.safetensors")
    with pytest.raises(NotImplementedByWeightscope, match="averages 17 vectors of a crop"):
        weightscope.open(tmp_path).forward(made.tokens("large"), pixel_values=made.pixels(2))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": torch.zeros(1, 2, 3, 56, 42)}, "the encoder takes"),
        ({"pixel_values": made.pixels(3)}, "8 image tokens .* need 12: 4 for each"),
    ],
)
def test_images_that_do_not_fit_are_said(inputs: dict[str, Any], said: str, small: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(small("large")).forward(made.tokens("large"), **inputs)


@pytest.mark.parametrize("most", THEIRS["grids"])
def test_grids_are_those_of_transformers(most: str) -> None:
    """Its methods need torchvision: the fixture has what they choose."""
    assert [list(grid(*size, 448, int(most))) for size in made.SIDES] == THEIRS["grids"][most]


def test_pixels_are_those_of_transformers(tmp_path: Path) -> None:
    """Which only torchvision computes: the fixture has some of them."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(made.SETTINGS))
    paths = []
    for size in made.PICTURES:
        paths.append(tmp_path / f"{size[0]}.png")
        Image.fromarray(made.picture(size)).save(paths[-1])
    ours = read_images(paths, tmp_path, "PerceptionLMImageProcessor")
    wanted = torch.cat([torch.tensor(values) for values in THEIRS["prepared"].values()])
    assert ours["num_tiles"].tolist() == [len(values) for values in THEIRS["prepared"].values()]
    torch.testing.assert_close(made.some(torch.as_tensor(ours["pixel_values"][0])), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_resize": False}, "tiles have one size"),
        ({"resample": 1}, "a resample of 1, which is not implemented"),
        ({"max_num_tiles": 256}, "256 tiles of 448 × 448 pixels"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=said):
        read_images([tmp_path / "a.png"], tmp_path, "PerceptionLMImageProcessor")


@pytest.mark.parametrize("kind", ["thumb+tile", "vanilla"])
def test_at_the_command_line(kind: str, small: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    """As many tokens as transformers' processor writes for each image's tiles."""
    for file in small("large").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {"tile_size": 56, "max_num_tiles": 3, "vision_input_type": kind}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    words(tmp_path, {"<image>": made.IMAGE})
    paths = [photograph(tmp_path / "a.png", (100, 30)), photograph(tmp_path / "b.png", (24, 40))]
    options = ("--prompt", "w7 <image> w8 <image> w9", "--json")
    _, out, error = run("forward", tmp_path, "--image", paths[0], "--image", paths[1], *options)
    own = SimpleNamespace(patch_size=14, pooling_ratio=2, image_token="<image>")
    tiles = read_images(paths, tmp_path, "PerceptionLMImageProcessor")["num_tiles"].tolist()
    assert tiles == ([4, 3] if kind == "thumb+tile" else [1, 1])
    media = {"pixel_values": [np.zeros((count, 3, 56, 56)) for count in tiles]}
    first, second = (
        transformers.PerceptionLMProcessor.replace_image_token(own, media, n).count("<image>") for n in range(2)
    )
    assert error == ""
    assert json.loads(out)["token_ids"] == [1, 7, *[made.IMAGE] * first, 8, *[made.IMAGE] * second, 9]


def test_the_fixture_is_what_timm_makes(tmp_path: Path) -> None:
    """Built anew with timm."""
    pytest.importorskip("timm", reason="timm is not installed")
    assert made.towers() == THEIRS["towers"]
    again = made.found("large", tmp_path)
    assert again["digest"] == THEIRS["large"]["digest"]
    assert seeing.off(torch.tensor(again["logits"]), torch.tensor(THEIRS["large"]["logits"])) < 1e-7
