"""Images of Gemma 3n, held against what timm's tower and transformers' model make of them; fixtures/timm has both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import weightscope
from fixtures.timm import gemma3n as made
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.test_siglip_image import words
from weightscope.analyses.forward.images import read_images
from weightscope.errors import UsageError, WeightscopeError
from weightscope.storage.base import Kind

Run = Callable[..., tuple[int, str, str]]
THEIRS = json.loads(made.MADE.read_text())


def declared(directory: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights that a config declares."""
    declaration = weightscope.open(directory / "config.json").declaration
    assert declaration is not None
    slots = [slot for slot in declaration.slots if not slot.stored.optional and slot.stored.kind is not Kind.COPY]
    return {name: tuple(map(int, slot.stored.shape)) for slot in slots for name in slot.names()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the fixture, its weights drawn under the names that we declare."""
    directory = tmp_path_factory.mktemp("gemma3n-images")
    (directory / "config.json").write_text(json.dumps(THEIRS["config"]))
    weights = {name: made.drawn(name, shape) for name, shape in declared(directory).items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def changed(directory: Path, target: Path, **vision: object) -> Path:
    """A config with other keys of its tower; what begins with `whole_` is a key of the whole."""
    config = json.loads((directory / "config.json").read_text())
    for key, value in vision.items():
        of = config if key.startswith("whole_") else config["vision_config"]
        of[key.removeprefix("whole_")] = value
    (target / "config.json").write_text(json.dumps(config))
    return target / "config.json"


def test_names_and_shapes(small: Path) -> None:
    """A tower with a twentieth of the channels: transformers passes `channel_multiplier` on to timm."""
    assert made.digest(declared(small)) == THEIRS["digest"]
    assert [finding.code for finding in weightscope.open(small).check() if finding.severity != "info"] == []


@pytest.mark.parametrize("multiplier", made.MULTIPLIERS)
def test_other_widths(multiplier: float, small: Path, tmp_path: Path) -> None:
    """How timm rounds the channels, fewer and more than usual."""
    found = declared(changed(small, tmp_path, model_args={"channel_multiplier": multiplier}).parent)
    start = "model.vision_tower.timm_model."
    tower = {name.removeprefix(start): shape for name, shape in found.items() if name.startswith(start)}
    assert made.digest(tower) == THEIRS["widths"][str(multiplier)]


@pytest.mark.parametrize(("name", "size", "count"), [("uneven", made.UNEVEN, 2), ("tall", made.TALL, 1)])
def test_features(name: str, size: tuple[int, int], count: int, small: Path) -> None:
    """Sides that are divided with a remainder; more rows than places, which are averaged."""
    stages: dict[str, torch.Tensor] = {}

    def keep(stage: str, x: torch.Tensor) -> None:
        stages[stage] = x

    tokens = [made.IMAGE] * made.EACH * count
    pixels = made.images(size, count)
    weightscope.open(small).forward(tokens, pixel_values=pixels, compute_dtype="float64", keep=keep)
    features = stages["vision fusion"].reshape(count, made.EACH, -1)
    assert seeing.off(made.some(features), torch.tensor(THEIRS[name], dtype=torch.float64)) < 1e-7


def test_logits_of_two_images(small: Path) -> None:
    expected, pixels = torch.tensor(THEIRS["logits"]), made.images(made.UNEVEN, 2)
    found = seeing.ours(small, made.TOKENS, {"pixel_values": pixels})
    assert seeing.off(found[-6:], expected) < 1e-4
    wide = seeing.ours(small, made.TOKENS, {"pixel_values": pixels}, compute_dtype="float64")
    # Norms of transformers' language model compute in float32.
    assert seeing.off(wide[-6:], expected) < 1e-5
    # Another second image is another answer.
    assert seeing.off(seeing.ours(small, made.TOKENS, {"pixel_values": pixels[[0, 0]]}), found) > 1e-2


def test_as_mlx_has_it(small: Path, tmp_path: Path) -> None:
    """mlx-vlm turns all kernels, the stem's too, whose shape stays the same."""
    renamed = {}
    for name, tensor in load_file(small / "model.safetensors").items():
        own = name.replace("model.language_model.", "language_model.model.").removeprefix("model.")
        renamed[own] = tensor.movedim(1, -1).contiguous() if tensor.ndim == 4 else tensor
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "mlx"})
    (tmp_path / "config.json").write_bytes((small / "config.json").read_bytes())
    found = seeing.ours(tmp_path, made.TOKENS, {"pixel_values": made.images(made.UNEVEN, 2)})
    assert seeing.off(found[-6:], torch.tensor(THEIRS["logits"])) < 1e-4


def test_every_kind_of_tensor_moves_the_logits(small: Path, tmp_path: Path) -> None:
    """Of those that are called alike in their blocks, the last."""
    for file in small.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    names = {re.sub(r"blocks.\d+.\d+.", "", name): name for name in declared(tmp_path) if "vision" in name}
    assert len(names) == 34
    inputs = {"pixel_values": made.images((33, 49), 1)}
    tokens = [1, *[made.IMAGE] * made.EACH, made.IMAGE - 1, 5]
    assert seeing.unmoving(tmp_path, tokens, inputs, names.values()) == set()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (torch.zeros(1, 3, 32, 32), "256 for each"),
        (torch.zeros(2, 1, 32, 32), r"an image of shape \[2, 1, 32, 32\] does not fit"),
        (torch.zeros(2, 3, 0, 32), r"the encoder takes \[3, height, width\]"),
        (torch.zeros(32), r"an image of shape \[32\] does not fit"),
    ],
)
def test_images_that_do_not_fit_are_said(pixels: torch.Tensor, said: str, small: Path) -> None:
    with pytest.raises(UsageError, match=said):
        seeing.ours(small, made.TOKENS, {"pixel_values": pixels})


def test_a_tower_that_does_not_fit_is_said(small: Path, tmp_path: Path) -> None:
    for keys, said in (
        ({"hidden_size": 64}, "the vision tower puts out 2,048 features, and vision_config.hidden_size is 64"),
        ({"whole_vision_soft_tokens_per_image": 100}, "makes 256 vectors of an image, and vision_soft_tokens_per_ima"),
    ):
        model = weightscope.open(changed(small, tmp_path, **keys))
        assert any(said in finding.message for finding in model.check())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"block_args": []}, "with the argument block_args of timm .* is not declared"),
        ({"channel_multiplier": 0}, "model_args.channel_multiplier is 0, not a number"),
        ({"channel_multiplier": "2"}, "model_args.channel_multiplier is '2', not a number"),
        ({"channel_multiplier": True}, "model_args.channel_multiplier is True, not a number"),
        ({"channel_multiplier": 1e9}, "model_args.channel_multiplier is 1000000000.0, not a number"),
    ],
)
def test_arguments_of_timm(given: dict[str, Any], said: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightscopeError, match=said):
        weightscope.open(changed(small, tmp_path, model_args=given))


# What Gemma 3n's processor was published with.
PUBLISHED = {
    "do_resize": True, "do_rescale": True, "do_normalize": False, "do_convert_rgb": None, "resample": 2,
    "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    "size": {"height": 768, "width": 768},
}  # fmt: skip
KINDS = {"image_processor_type": "SiglipImageProcessorFast", "feature_extractor_type": "Gemma3nAudioFeatureExtractor"}


def test_pixels_are_those_of_transformers(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PUBLISHED | KINDS))
    paths = [photograph(tmp_path / "a.png", (97, 61)), photograph(tmp_path / "b.png", (40, 120))]
    theirs = transformers.SiglipImageProcessorPil(**PUBLISHED)(images=[Image.open(path) for path in paths])
    ours = read_images(paths, tmp_path, "x")["pixel_values"]
    assert ours.shape == (2, 3, 768, 768)
    np.testing.assert_allclose(ours, np.stack(theirs["pixel_values"]), rtol=1e-5, atol=1e-5)


# What `Gemma3nProcessor` writes: two line ends, the tokens of an image between two others, two line ends.
WRITTEN = [90, 97, *[made.IMAGE] * made.EACH, 101, 90]


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        (("--prompt", "w7 <image_soft_token> w8 <image_soft_token> w9"), [1, 7, *WRITTEN, 8, *WRITTEN, 9]),
        (("--tokens", "1,7,102,8,102"), [1, 7, *WRITTEN, 8, *WRITTEN]),
    ],
)
def test_at_the_command_line(
    options: tuple[str, ...], tokens: list[int], small: Path, run: Run, tmp_path: Path
) -> None:
    for file in small.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = PUBLISHED | KINDS | {"size": {"height": 64, "width": 96}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    words(tmp_path, {"<boi>": 97, "<eoi>": 101, "<image_soft_token>": made.IMAGE})
    images = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    status, out, _ = run("forward", tmp_path, "--image", images[0], "--image", images[1], *options, "--json")
    found = json.loads(out)
    assert found["token_ids"] == tokens
    # A pass over random weights reads no text.
    assert {finding["code"] for finding in found["findings"]} <= {"uniform-loss"}
    assert status == (1 if found["findings"] else 0)


def test_the_fixture_is_what_timm_makes(run: Run, tmp_path: Path) -> None:
    """Built anew with timm; its whole logits, and layer by layer beside transformers."""
    pytest.importorskip("timm", reason="timm is not installed")
    again = made.found(tmp_path)
    for name in ("logits", "uneven", "tall"):
        assert seeing.off(torch.tensor(again[name]), torch.tensor(THEIRS[name])) < 1e-7
    assert again["digest"] == THEIRS["digest"]
    np.savez(tmp_path / "images.npz", pixel_values=made.images(made.UNEVEN, 2).numpy())
    tokens = ",".join(map(str, made.TOKENS))
    given = ("--inputs", tmp_path / "images.npz", "--tokens", tokens, "--compare", "transformers", "--json")
    status, out, error = run("forward", tmp_path, *given)
    assert (status, error) == (0, "")
    assert {"layer 0", "layer 4", "logits"} <= {item["stage"] for item in json.loads(out)["compared"]}
