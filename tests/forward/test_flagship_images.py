"""Pictures as the processors of 2026's flagships make them, and prompts as they write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil

from fixtures.images import make_flagships as made
from fixtures.images.pictures import picture, png
from tests.forward import seeing
from tests.forward.test_llama_images import spelled
from tests.forward.their_functions import functions_of
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError, UsageError

Run = Callable[..., tuple[int, str, str]]
FIXTURE = Path(__file__).parents[2] / "fixtures" / "images" / "flagships.npz"
KINDS = {
    "minimax_m3_vl": "MiniMaxM3VLImageProcessor", "molmo2": "Molmo2ImageProcessor", "step3p7": "Step3p7ImageProcessor",
}  # fmt: skip
USUAL = KINDS | {"minicpmv4_6": "MiniCPMV4_6ImageProcessor"}


def pictures(folder: Path, sizes: tuple[tuple[int, int], ...]) -> list[Path]:
    paths = [folder / f"{width}x{height}.png" for width, height in sizes]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(png(*size))
    return paths


def prepared(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    said = made.SETTINGS[name] | {"image_processor_type": KINDS[name]} | changes
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return read_images(pictures(folder, made.SIZES[name]), folder, "x")


@pytest.mark.parametrize("name", KINDS)
def test_pictures(name: str, tmp_path: Path) -> None:
    """By torchvision, exactly."""
    found, expected = prepared(tmp_path, name), np.load(FIXTURE)
    keys = {key.partition(".")[2] for key in expected if key.startswith(f"{name}.")}
    assert set(found) == keys
    for key in keys:
        np.testing.assert_array_equal(found[key], expected[f"{name}.{key}"], key)


@pytest.mark.parametrize("size", [(51, 34), (30, 62), (20, 20), (150, 9), (90, 97)])
@pytest.mark.parametrize(
    "settings",
    [
        {"scale_resolution": 32, "patch_size": 4, "max_slice_nums": 4},
        {"scale_resolution": 28, "patch_size": 4, "downsample_mode": "4x", "image_mean": [0.4, 0.5, 0.6]},
        {"scale_resolution": 40, "patch_size": 3, "slice_mode": False, "do_normalize": False},
    ],
)
def test_slices(size: tuple[int, int], settings: dict[str, Any], tmp_path: Path) -> None:
    said = settings | {"image_processor_type": "MiniCPMV4_6ImageProcessorFast"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_images(pictures(tmp_path, (size,)), tmp_path, "x")
    expected = MiniCPMV4_6ImageProcessorPil(**settings)(picture(*size), return_tensors="np")
    assert set(found) == set(expected)
    for key, array in found.items():
        np.testing.assert_allclose(array, np.asarray(expected[key]), atol=1e-5, err_msg=key)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("minimax_m3_vl", {"resample": 1}), ("minimax_m3_vl", {"size": [5, 5]}),
        ("minimax_m3_vl", {"size": {"shortest_edge": 1 << 30, "longest_edge": 1 << 31}}),
        ("molmo2", {"size": {"height": 24, "width": 20}}), ("molmo2", {"overlap_margins": [3, 3]}),
        ("molmo2", {"size": {"height": 4000, "width": 4000}}), ("molmo2", {"patch_size": 5}),
        ("molmo2", {"resample": 0}),
        ("step3p7", {"patch_size": 0}), ("step3p7", {"size": {"height": 9000, "width": 9000}}),
        ("step3p7", {"patch_size": 1, "max_image_size": 3024}), ("step3p7", {"resample": 5}),
    ],
)  # fmt: skip
def test_settings_that_make_no_pictures(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="settings that cannot be used"):
        prepared(tmp_path, name, **changes)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("preprocessor_config.json", {"do_resize": False}),
        ("processor_config.json", {"use_image_id": False}),
        ("tokenizer_config.json", {"slice_start_token": "<part>"}),
        ("tokenizer_config.json", {"extra_special_tokens": {"image_start_token": "<img>"}}),
    ],
)
def test_minicpm_writes_images_as_it_usually_does_or_not_at_all(
    file: str, said: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / file).write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="settings that cannot be used"):
        read_images(pictures(tmp_path, ((20, 20),)), tmp_path, "MiniCPMV4_6ImageProcessor")


def test_too_long_a_picture(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(UsageError, match="200 times"):
        read_images(pictures(tmp_path, ((402, 2),)), tmp_path, "MiniMaxM3VLImageProcessor")


def molmo_text(inputs: dict[str, Any], number: int) -> str:
    (written,) = functions_of("molmo2/processing_molmo2.py", "replace_image_token")
    own = SimpleNamespace(image_use_col_tokens=True, use_single_crop_col_tokens=None, use_single_crop_start_token=True)
    return str(written(own, inputs, number))


def step_text(inputs: dict[str, Any], number: int) -> str:
    (written,) = functions_of("step3p7/processing_step3p7.py", "replace_image_token")
    own = SimpleNamespace(image_feature_placeholder="<im_patch>" * 4, patch_feature_placeholder="<im_patch>" * 4)
    lists = {key: inputs[key].tolist() for key in ("num_local_patches", "patch_newline_masks")}
    return str(written(own, lists, number))


def minimax_text(inputs: dict[str, Any], number: int) -> str:
    (written,) = functions_of("minimax_m3_vl/processing_minimax_m3_vl.py", "replace_image_token")
    own = SimpleNamespace(
        image_processor=SimpleNamespace(merge_size=2), IMAGE_TOKEN="]<]image[>[",
        VISION_START_TOKEN="]<]start of image[>[", VISION_END_TOKEN="]<]end of image[>[",
    )  # fmt: skip
    return str(written(own, inputs, number))


def minicpm_text(inputs: dict[str, Any], number: int) -> str:
    (written,) = functions_of("minicpmv4_6/processing_minicpmv4_6.py", "replace_image_token")
    own = SimpleNamespace(
        slice_mode=True, image_token="<|image_pad|>", image_start_token="<image>", image_end_token="</image>",
        slice_start_token="<slice>", slice_end_token="</slice>",
    )  # fmt: skip
    return f"<image_id>{number}</image_id>{written(own, inputs, number, image_token_divisor=16)}"


class Written(NamedTuple):
    """What places an image, the special tokens by id, the processor's settings, and how it writes an image."""

    name: str
    place: str
    special: dict[str, int]
    settings: dict[str, Any]
    text: Callable[[dict[str, Any], int], str]
    beside: tuple[str, ...] = ()


WRITTEN = [
    Written(
        "minimax_m3_vl", "]<]image[>[", {"]<]image[>[": 95, "]<]start of image[>[": 97, "]<]end of image[>[": 98},
        {"patch_size": 4, "size": {"shortest_edge": 600, "longest_edge": 1500}}, minimax_text,
    ),
    Written(
        "molmo2", "<|image|>",
        {
            "<im_start>": 101, "<im_end>": 102, "<im_patch>": 103, "<im_col>": 104, "<low_res_im_start>": 105,
            "<|image|>": 108,
        },
        {"size": {"height": 20, "width": 20}, "patch_size": 4, "overlap_margins": [1, 1], "max_crops": 3}, molmo_text,
    ),
    Written(
        "step3p7", "<im_patch>",
        {
            "<im_patch>": 95, "<patch_start>": 90, "<patch_end>": 91, "<patch_newline>": 92, "<im_start>": 93,
            "<im_end>": 94,
        },
        {"size": {"height": 20, "width": 20}, "patch_size": 28}, step_text, ("patch_newline_masks",),
    ),
    Written(
        "minicpmv4_6", "<|image_pad|>",
        {
            "<|image_pad|>": 95, "<image>": 90, "</image>": 91, "<slice>": 92, "</slice>": 93, "<image_id>": 94,
            "</image_id>": 97,
        },
        {"scale_resolution": 24, "patch_size": 4, "max_slice_nums": 4}, minicpm_text,
        ("grids", "num_patches_per_image"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.name)
def test_a_prompt_with_two_pictures(case: Written, saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    """At the command line, held against transformers' model on the tokens of its own processor's text."""
    directory = seeing.lively(saved(case.name), tmp_path / "m")
    (directory / "preprocessor_config.json").write_text(json.dumps(case.settings))
    numbers = {number: f"w{number}" for number in range(110)} | {0: "0", 1: "1", 2: "\n"}
    numbers |= {number: token for token, number in case.special.items()}
    tokenizer = spelled(directory, {word: number for number, word in numbers.items()}, list(case.special))
    paths, logits = pictures(tmp_path, ((70, 30), (20, 22))), tmp_path / "logits.npy"
    prompt = f"w7 {case.place} w8 {case.place} w9"
    options = ("--image", paths[0], "--image", paths[1], "--prompt", prompt, "--save-logits", logits)
    _, out, error = run("forward", directory, *options, "--compare", "transformers", "--format", "json")
    assert error == ""
    compared = {stage["stage"]: stage["relative"] for stage in json.loads(out)["compared"]}
    assert {"layer 0", "layer 1", "logits"} <= set(compared)
    assert max(compared.values()) < 1e-4
    inputs = read_images(paths, directory, USUAL[case.name])
    before, between, after = prompt.split(case.place)
    tokens = tokenizer.encode(before + case.text(inputs, 0) + between + case.text(inputs, 1) + after).ids
    given = {key: torch.from_numpy(value) for key, value in inputs.items() if key not in case.beside}
    if case.name == "molmo2":
        given["mm_token_type_ids"] = torch.tensor([[int(100 < token < 106) for token in tokens]])
    expected = seeing.theirs(directory, tokens, given)
    assert seeing.off(torch.from_numpy(np.load(logits)), expected) < 1e-4
