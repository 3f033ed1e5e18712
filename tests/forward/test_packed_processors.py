"""Pixtral's, InternVL's and Kimi's image processors and the tokens beside images, by transformers' own; `forward` with
two images.
"""

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

from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from tests.forward.their_functions import functions_of
from weightscope.analyses.forward.images import read_images
from weightscope.components.vision.packed_eye import PaddedEye
from weightscope.errors import CheckpointError, WeightscopeError

Run = Callable[..., tuple[int, str, str]]
SIZES = [(97, 61), (20, 20), (8, 130), (64, 40), (33, 95), (300, 41)]
MEANS: dict[str, Any] = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
SPECIAL = ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "<img>", "</img>"]


def photographs(directory: Path) -> list[Path]:
    return [photograph(directory / f"{n}.png", size) for n, size in enumerate(SIZES)]


def the_same(ours: dict[str, Any], theirs: Any) -> None:
    assert set(ours) == set(theirs)
    for name, found in ours.items():
        np.testing.assert_allclose(found, np.asarray(theirs[name]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"longest_edge": 100}, "patch_size": 14},
        {"size": {"longest_edge": 64}, "patch_size": {"height": 8, "width": 8}, "resample": 2} | MEANS,
        {"size": {"height": 50, "width": 90}, "patch_size": {"height": 4, "width": 6}, "do_normalize": False},
        {"size": {"longest_edge": 1540}, "rescale_factor": 0.01},
        {"do_resize": False},
    ],
)
def test_images_of_any_size_are_padded_as_transformers_does(settings: dict[str, Any], tmp_path: Path) -> None:
    said = settings | {"image_processor_type": "PixtralImageProcessorFast"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = photographs(tmp_path)
    processor = transformers.PixtralImageProcessorPil(**settings)
    theirs = processor([Image.open(path) for path in paths], return_tensors="np")
    the_same(read_images(paths, tmp_path, "PixtralImageProcessor"), theirs)


@pytest.mark.parametrize("whole", [{"patch_size": 14, "spatial_merge_size": 2}, {"spatial_merge_size": 3}])
def test_pixtral_s_processor_asks_for_squares_that_are_merged(whole: dict[str, int], tmp_path: Path) -> None:
    """Its own keys in processor_config.json decide, whatever the image processor's patch_size."""
    (tmp_path / "processor_config.json").write_text(json.dumps(whole))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"patch_size": 14, "size": {"longest_edge": 200}}))
    paths = photographs(tmp_path)
    processor = transformers.PixtralImageProcessorPil(size={"longest_edge": 200})
    square = whole.get("patch_size", 16) * whole["spatial_merge_size"]
    theirs = processor([Image.open(path) for path in paths], patch_size=square, return_tensors="np")
    the_same(read_images(paths, tmp_path, "PixtralImageProcessor"), theirs)


def test_an_image_is_written_as_pixtral_s_processor_writes_it() -> None:
    (method,) = functions_of("pixtral/processing_pixtral.py", "replace_image_token")
    names = {"patch_size": 14, "spatial_merge_size": 2} | dict(
        zip(("image_token", "image_break_token", "image_end_token"), SPECIAL[:3], strict=True)
    )
    sizes = [[56, 84], [28, 28], [140, 28]]
    written = [method(SimpleNamespace(**names), {"image_sizes": sizes}, number) for number in range(3)]
    eye = SimpleNamespace(squares=lambda _: [(height // 28, width // 28) for height, width in sizes])
    layouts = PaddedEye.layouts(eye, {})  # type: ignore[arg-type]
    ours = ["".join("[IMG]" * piece if isinstance(piece, int) else str(piece) for piece in one) for one in layouts]
    assert ours == written


@pytest.mark.parametrize("settings", [{}, {"min_patches": 2, "max_patches": 5}, MEANS | {"resample": 2}])
def test_internvl_s_images_are_always_cut_into_tiles(settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {"size": {"height": 28, "width": 28}} | settings
    said = settings | {"image_processor_type": "GotOcr2ImageProcessorFast", "crop_to_patches": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = photographs(tmp_path)
    processor = transformers.GotOcr2ImageProcessorPil(**settings)
    theirs = processor([Image.open(path) for path in paths], crop_to_patches=True, return_tensors="np")
    the_same(read_images(paths, tmp_path, "InternVLImageProcessor"), theirs)


@pytest.mark.parametrize(
    ("config", "tiled", "most", "thumbnail"),
    [
        ({"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 12}, True, 12, True),
        ({"dynamic_image_size": True, "max_dynamic_patch": 4}, True, 4, False),
        ({"use_thumbnail": True}, False, 1, True),
    ],
)
def test_opengvlab_s_code_goes_by_the_model_s_config(
    config: dict[str, Any], tiled: bool, most: int, thumbnail: bool, tmp_path: Path
) -> None:
    """Its tiles are those of transformers' class, with ImageNet's colours; the file beside the model says otherwise."""
    (tmp_path / "preprocessor_config.json").write_text('{"feature_extractor_type": "CLIPFeatureExtractor"}')
    (tmp_path / "config.json").write_text(json.dumps(config | {"force_image_size": 28, "vision_config": {}}))
    paths = photographs(tmp_path)
    processor = transformers.GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, max_patches=most,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    ours = read_images(paths, tmp_path, "InternVLChat")
    theirs = processor([Image.open(path) for path in paths], crop_to_patches=tiled, return_tensors="np")
    tiles = np.split(theirs["pixel_values"], np.cumsum(theirs["num_patches"])[:-1])
    kept = tiles if thumbnail else [image[:-1] if len(image) > 1 else image for image in tiles]
    assert ours["num_patches"].tolist() == [len(image) for image in kept]
    np.testing.assert_allclose(ours["pixel_values"], np.concatenate(kept), rtol=1e-5, atol=1e-5)


KIMI: dict[str, Any] = {"patch_size": 4, "merge_size": 2, "max_patches": 90}


@pytest.mark.parametrize(
    ("settings", "side"), [(KIMI, 512), (KIMI | {"max_patches": 16384}, 16), (KIMI | {"max_patches": 1}, 512)]
)
def test_kimi_s_images_are_resized_and_padded_as_transformers_says(
    settings: dict[str, Any], side: int, tmp_path: Path
) -> None:
    """Transformers has this processor with torchvision alone, Moonshot's own resizes by Pillow: sizes are
    transformers', and pixels those of Pillow.
    """
    said = settings | {"size": {"max_height": side, "max_width": side}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = photographs(tmp_path)
    (resize,) = functions_of("kimi_k25/image_processing_kimi_k25.py", "navit_resize")
    expected, grids = [], []
    for path, (width, height) in zip(paths, SIZES, strict=True):
        (tall, wide), (padded_tall, padded_wide) = resize(height, width, 4, 2, settings["max_patches"], side)
        canvas = Image.new("RGB", (padded_wide, padded_tall))
        canvas.paste(Image.open(path).resize((wide, tall), Image.Resampling.BICUBIC))
        pixels = torch.as_tensor((np.asarray(canvas) / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]
        patches = torch.nn.functional.unfold(pixels, 4, stride=4)[0].T
        expected.append(patches.view(-1, 3, 4, 4))
        grids.append([1, padded_tall // 4, padded_wide // 4])
    ours = read_images(paths, tmp_path, "Kimi_K25ImageProcessor")
    np.testing.assert_array_equal(ours["image_grid_thw"], grids)
    np.testing.assert_allclose(ours["pixel_values"], torch.cat(expected), rtol=1e-5, atol=1e-5)
    moonshot = {
        "in_patch_limit": settings["max_patches"], "patch_limit_on_one_side": side, "patch_size": 4,
        "merge_kernel_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"media_proc_cfg": moonshot}))
    the_same(read_images(paths, tmp_path, "Kimi_K25ImageProcessor"), ours)


def test_kimi_vl_s_images_are_those_of_moonshot_s_code(tmp_path: Path) -> None:
    """Sizes are literals of its rule: 24 × 15 patches of 4 are 360, of 90 the root of a quarter remains; 5 × 5 stay."""
    settings = {"patch_size": 4, "pad_input": True, "in_token_limit": 90, "merge_kernel_size": [2, 2]} | MEANS
    said = settings | {"image_processor_type": "KimiVLImageProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    sizes = [((97, 61), (48, 30), (48, 32)), ((20, 20), (20, 20), (24, 24))]
    expected = []
    for number, (size, small, padded) in enumerate(sizes):
        image = Image.open(photograph(tmp_path / f"{number}.png", size))
        canvas = Image.new("RGB", padded)
        canvas.paste(image if small == size else image.resize(small, Image.Resampling.BICUBIC))
        pixels = torch.as_tensor((np.asarray(canvas) / 255 - MEANS["image_mean"]) / MEANS["image_std"])
        expected.append(torch.nn.functional.unfold(pixels.permute(2, 0, 1)[None], 4, stride=4)[0].T.view(-1, 3, 4, 4))
    ours = read_images([tmp_path / "0.png", tmp_path / "1.png"], tmp_path, "KimiVLImageProcessor")
    np.testing.assert_array_equal(ours["image_grid_hws"], [[8, 12], [6, 6]])
    np.testing.assert_allclose(ours["pixel_values"], torch.cat(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "settings", "said"),
    [
        ("Pixtral", {"size": {"shortest_edge": 28}}, "neither a longest_edge nor height and width"),
        ("Pixtral", {"patch_size": 0}, "has settings that cannot be used"),
        ("Pixtral", {"do_resize": False, "do_pad": False}, "several sizes"),
        ("Pixtral", {"do_center_crop": True}, "do_center_crop"),
        ("Pixtral", {"size": {"longest_edge": 16384}, "patch_size": 1024 * 8}, "has settings that cannot be used"),
        ("Kimi_K25", {"size": {"max_height": 1, "max_width": 2}}, "differ"),
        ("KimiVL", {"pad_input": False}, "pad_input"),
        ("KimiVL", {"pad_input": True, "merge_kernel_size": [2, 1]}, "no square"),
        ("KimiVL", {"pad_input": True, "merge_kernel_size": [0, 0]}, "has settings that cannot be used"),
        ("Kimi_K25", {"media_proc_cfg": {"patch_size": 0}}, "has settings that cannot be used"),
    ],
)
def test_settings_that_cannot_be_used(processor: str, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises((CheckpointError, WeightscopeError), match=said):
        read_images(photographs(tmp_path), tmp_path, f"{processor}ImageProcessor")


# Of each model the processor's settings and how two images are written.
SPOKEN: dict[str, tuple[dict[str, dict[str, Any]], list[str]]] = {
    "mistral3": (
        {"preprocessor_config.json": {"image_processor_type": "PixtralImageProcessor", "size": {"longest_edge": 24}},
         "processor_config.json": {"patch_size": 4, "spatial_merge_size": 2}},
        ["[IMG]" * 3 + "[IMG_BREAK]" + "[IMG]" * 3 + "[IMG_END]",
         ("[IMG]" * 3 + "[IMG_BREAK]") * 2 + "[IMG]" * 3 + "[IMG_END]"],
    ),
    "lighton_ocr": (
        {"preprocessor_config.json": {
            "image_processor_type": "PixtralImageProcessor", "size": {"longest_edge": 24}, "patch_size": 4,
         }, "processor_config.json": {
            "patch_size": 4, "spatial_merge_size": 2, "processor_class": "LightOnOcrProcessor",
         }},
        ["[IMG]" * 6, "[IMG]" * 6],
    ),
    "internvl": (
        {"preprocessor_config.json": {
            "image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 28, "width": 28}, "max_patches": 2,
        }},
        ["<img>" + "[IMG]" * 4 * 3 + "</img>", "<img>" + "[IMG]" * 4 + "</img>"],
    ),
    "kimi_k25": (
        {"preprocessor_config.json": KIMI | {"max_patches": 24}}, ["[IMG]" * 8, "[IMG]" * 9],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOKEN)
def test_two_images_and_a_prompt_at_the_command_line(
    name: str, saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    """What is written out beside the literal text, and through transformers' model the same logits."""
    source = tmp_path / "source"
    source.mkdir()
    config = json.loads((saved(name) / "config.json").read_text())
    config["text_config"]["vocab_size"] = 256 + len(SPECIAL)
    key = "image_token_index" if name == "mistral3" else "image_token_id"
    (source / "config.json").write_text(json.dumps(config | {key: 256, "video_token_id": 262}))
    directory = seeing.lively(source, tmp_path / "m")
    files, written = SPOKEN[name]
    for file, settings in files.items():
        (directory / file).write_text(json.dumps(settings))
    paths = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 30))]
    logits = tmp_path / "logits.npy"
    whole = f"What is{written[0]} and {written[1]}?"
    tokens = seeing.byte_tokenizer(directory, SPECIAL)(whole)["input_ids"]
    inputs = read_images(paths, directory, _processor(name))
    inputs.pop("num_patches", None)
    wanted = seeing.theirs(directory, tokens, {key: torch.as_tensor(value) for key, value in inputs.items()})
    options = (
        "--image",
        paths[0],
        "--image",
        paths[1],
        "--prompt",
        "What is[IMG] and [IMG]?",
        "--compare",
        "transformers",
    )
    _, out, error = run("forward", directory, *options, "--save-logits", logits, "--format", "json")
    shown = json.loads(out)
    assert (error, [finding["code"] for finding in shown["findings"]]) == ("", ["uniform-loss"])
    assert shown["tokens"] == len(tokens)
    assert {"layer 0", "logits"} <= {item["stage"] for item in shown["compared"]}
    assert seeing.off(torch.as_tensor(np.load(logits)), wanted) < 1e-4


def _processor(name: str) -> str:
    return {"mistral3": "Pixtral", "lighton_ocr": "Pixtral", "internvl": "InternVL", "kimi_k25": "Kimi_K25"}[
        name
    ] + "ImageProcessor"
