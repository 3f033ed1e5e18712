"""Image files of Aria, ERNIE 4.5 VL and HunyuanOCR, and the tokens beside them, by transformers' own processors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.test_siglip_image import words
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError

Run = Callable[..., tuple[int, str, str]]
SIZES = [(97, 61), (20, 20), (34, 130)]
KINDS = {"aria": "Aria", "ernie4_5_vl_moe": "Ernie4_5_VLMoe", "hunyuan_vl": "HunYuanVL"}
SMALL = {"size": {"shortest_edge": 600, "longest_edge": 2000}, "patch_size": 4}


def processed(kind: str, paths: list[Path], settings: dict[str, Any], directory: Path) -> tuple[Any, Any]:
    """Ours and theirs; a setting that is ours alone, the class's name, aside."""
    said = {"image_processor_type": f"{kind}ImageProcessorFast"} | settings
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**settings)
    return read_images(paths, directory, "x"), processor([Image.open(path) for path in paths], return_tensors="np")


@pytest.mark.parametrize("kind", ["Ernie4_5_VLMoe", "HunYuanVL"])
@pytest.mark.parametrize(
    "settings",
    [{}, SMALL | {"resample": 2}, SMALL | {"merge_size": 1, "temporal_patch_size": 2, "do_normalize": False}],
)
def test_patches_are_those_of_transformers(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    ours, theirs = processed(kind, paths, settings, tmp_path)
    np.testing.assert_array_equal(ours["image_grid_thw"], theirs["image_grid_thw"])
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"max_image_size": 490, "min_image_size": 100}, (97, 61)),
        ({"max_image_size": 490, "resample": 2, "image_mean": [0.1, 0.2, 0.3]}, (20, 130)),
        ({"max_image_size": 490, "split_image": True, "do_normalize": False}, (97, 61)),
        ({"split_image": True}, (300, 90)),
    ],
)
def test_crops_are_those_of_transformers(settings: dict[str, Any], size: tuple[int, int], tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png", size)
    ours, theirs = processed("Aria", [path], settings, tmp_path)
    assert ours["num_crops"].tolist() == [theirs["num_crops"]]
    np.testing.assert_array_equal(ours["pixel_mask"], theirs["pixel_mask"])
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("Aria", {"max_image_size": 500}, "has settings that cannot be used"),
        ("Aria", {"max_image_size": 490, "min_image_size": 980}, "a min_image_size of 980 above 490"),
        ("Aria", {"split_image": True, "split_resolutions": [[16000, 16000]]}, "in tiles of 980"),
        ("Ernie4_5_VLMoe", {"size": {"shortest_edge": 600}}, "a size without shortest_edge and longest_edge"),
        ("HunYuanVL", {"do_resize": False}, "in patches of 16"),
    ],
)
def test_settings_that_cannot_be_used(kind: str, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=said):
        read_images([photograph(tmp_path / "a.png", (41, 30))], tmp_path, f"{kind}ImageProcessor")


# Aria's crops have 490 or 980 pixels a side: tiny towers have large patches.
ARIA = {
    "projector_patch_to_query_dict": {"49": 4}, "max_value_projector_patch_to_query_dict": 6, "image_token_index": 95,
}  # fmt: skip
TOWER = {"image_size": 490, "patch_size": 70}


@pytest.fixture
def seen(saved: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A tiny model with a tokenizer of words and its processor's settings."""

    def make(name: str) -> Path:
        source = tmp_path / "source"
        source.mkdir()
        config = json.loads((saved(name) / "config.json").read_text())
        settings: dict[str, Any] = SMALL
        if name == "aria":
            config |= ARIA
            config["vision_config"] |= TOWER
            settings = {"max_image_size": 490}
        (source / "config.json").write_text(json.dumps(config))
        directory = seeing.lively(source, tmp_path / "m")
        (directory / "preprocessor_config.json").write_text(json.dumps(settings))
        words(directory, {"<image>": 95, "<start>": 97, "<end>": 98})
        return directory

    return make


def written(name: str, grids: list[list[int]]) -> list[int]:
    """How many tokens transformers' processor writes for images of these grids."""
    own = SimpleNamespace(
        image_token="<image>",
        image_processor=SimpleNamespace(merge_size=2, spatial_patch_size=1),
        cat_extra_token=True,
        size_conversion={490: 4},
    )
    made = {"image_grid_thw": np.array(grids), "pixel_values": np.zeros((1, 3, 490, 490)), "num_crops": 1}
    write = getattr(transformers, f"{KINDS[name]}Processor").replace_image_token
    return [write(own, made, number).count("<image>") for number in range(len(grids))]


@pytest.mark.parametrize("name", ["aria", "ernie4_5_vl_moe", "hunyuan_vl"])
def test_two_images_and_a_prompt_at_the_command_line(
    name: str, seen: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    """As many tokens as transformers' processor writes, and the stages of transformers' model."""
    directory = seen(name)
    paths = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    kind = KINDS[name]
    made = read_images(paths, directory, f"{kind}ImageProcessor")
    first, second = written(name, made["image_grid_thw"].tolist() if kind != "Aria" else [[1, 7, 7]] * 2)
    text = "w7 <start> <image> <end> w8 <start> <image> <end> w9"
    given = ("--image", paths[0], "--image", paths[1], "--prompt", text, "--compare", "transformers")
    _, out, error = run("forward", directory, *given, "--format", "json")
    assert error == ""
    found = json.loads(out)
    assert {finding["code"] for finding in found["findings"]} <= {"uniform-loss"}
    assert found["token_ids"] == [1, 7, 97, *[95] * first, 98, 8, 97, *[95] * second, 98, 9]
    assert {"layer 0", "logits"} <= {item["stage"] for item in found["compared"]}
    assert all(item["relative"] < 1e-4 for item in found["compared"])


def test_an_image_that_the_prompt_does_not_place(seen: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    """Between its marks, before the text."""
    directory, path = seen("hunyuan_vl"), photograph(tmp_path / "a.png", (50, 30))
    _, out, _ = run("forward", directory, "--image", path, "--tokens", "7,8", "--format", "json")
    grid = read_images([path], directory, "HunYuanVLImageProcessor")["image_grid_thw"].tolist()
    assert json.loads(out)["token_ids"] == [97, *[95] * written("hunyuan_vl", grid)[0], 98, 7, 8]
