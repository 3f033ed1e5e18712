"""Tiles of pictures as the processors of Llama 4 and Llama 3.2 make them, and prompts as they write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from fixtures.images import make_llama4 as made
from fixtures.images.pictures import png
from tests.forward import seeing
from tests.forward.test_llama_vision import processor_s_mask
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "images"
Run = Callable[..., tuple[int, str, str]]


def pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{width}x{height}.png" for width, height in made.SIZES]
    for path, size in zip(paths, made.SIZES, strict=True):
        path.write_bytes(png(*size))
    return paths


def settings(folder: Path, kind: str = "Llama4ImageProcessorFast", **changes: Any) -> None:
    said = {"image_processor_type": kind, **changes}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))


@pytest.mark.parametrize("name", made.SETTINGS)
def test_llama4_s_tiles(name: str, tmp_path: Path) -> None:
    settings(tmp_path, **made.SETTINGS[name])
    found = read_images(pictures(tmp_path), tmp_path, "x")
    expected = np.load(FIXTURES / "llama4.npz")
    np.testing.assert_array_equal(found["aspect_ratios"], expected[f"{name}.aspect_ratios"])
    pixels = (expected[f"{name}.pixel_values"].astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_allclose(found["pixel_values"], pixels, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"do_resize": False}, {"size": {"height": 20, "width": 30}}, {"size": {"shortest_edge": 20}}, {"resample": 1},
        {"do_rescale": False}, {"max_patches": 100, "size": {"height": 1000, "width": 1000}}, {"max_patches": 0},
    ],
)  # fmt: skip
def test_settings_that_make_no_tiles(changes: dict[str, Any], tmp_path: Path) -> None:
    settings(tmp_path, **changes)
    with pytest.raises(CheckpointError, match="settings that cannot be used"):
        read_images(pictures(tmp_path)[:1], tmp_path, "x")


def written(rows: int, columns: int, each: int) -> str:
    from transformers.models.llama4.processing_llama4 import Llama4Processor

    return str(Llama4Processor._prompt_split_image(None, (rows, columns), each))


def spelled(directory: Path, words: dict[str, int], special: list[str]) -> Tokenizer:
    """A tokenizer of words between blanks, in the model's folder."""
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(directory / "tokenizer.json"))
    return tokenizer


def test_a_prompt_with_two_pictures(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved("llama4"), tmp_path / "m")
    settings(directory, size={"height": 24, "width": 24}, max_patches=5)
    special = ["<|patch|>", "<|image|>", "<|image_start|>", "<|image_end|>", "<|tile_x_separator|>"]
    special.append("<|tile_y_separator|>")
    words = {f"w{i}": i for i in range(95)} | {token: 95 + number for number, token in enumerate(special)}
    tokenizer = spelled(directory, words, special)
    wide, small = pictures(tmp_path)[0], pictures(tmp_path)[3]
    logits = tmp_path / "logits.npy"
    options = ("--image", wide, "--image", small, "--prompt", "w7 <|image|> w8 <|image|> w9")
    _, out, error = run("forward", directory, *options, "--save-logits", logits, "--format", "json")
    # Weights that are drawn predict no text.
    assert error == ""
    assert {finding["code"] for finding in json.loads(out)["findings"]} <= {"uniform-loss"}
    tokens = json.loads(out)["token_ids"]
    assert tokens == tokenizer.encode(f"w7 {written(2, 2, 9)} w8 {written(1, 1, 9)} w9").ids
    inputs = read_images([wide, small], directory, "x")
    theirs = seeing.theirs(directory, tokens, {"pixel_values": torch.as_tensor(inputs["pixel_values"])})
    assert seeing.off(torch.as_tensor(np.load(logits)), theirs) < 1e-4


MLLAMA: dict[str, dict[str, Any]] = {
    "usual": {"size": {"height": 24, "width": 24}},
    "others": {
        "size": {"height": 20, "width": 20}, "max_image_tiles": 6, "resample": 3, "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MLLAMA)
def test_llama_3_2_s_tiles(name: str, tmp_path: Path) -> None:
    from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

    settings(tmp_path, "MllamaImageProcessor", **MLLAMA[name])
    paths = pictures(tmp_path)
    expected = MllamaImageProcessorPil(**MLLAMA[name])([[Image.open(path) for path in paths]], return_tensors="np")
    found = read_images(paths, tmp_path, "x")
    assert set(found) == set(expected) - {"num_tiles"}
    for key, array in found.items():
        np.testing.assert_allclose(array, expected[key], atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"do_pad": False}, {"do_resize": False}, {"size": {"height": 20, "width": 30}}, {"max_image_tiles": 0},
        {"max_image_tiles": 64, "size": {"height": 1000, "width": 1000}},
    ],
)  # fmt: skip
def test_settings_that_make_no_tiles_of_llama_3_2(changes: dict[str, Any], tmp_path: Path) -> None:
    settings(tmp_path, "MllamaImageProcessor", **changes)
    with pytest.raises(CheckpointError, match="settings that cannot be used"):
        read_images(pictures(tmp_path)[:1], tmp_path, "x")


def test_a_prompt_of_llama_3_2_with_two_pictures(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved("mllama"), tmp_path / "m")
    settings(directory, "MllamaImageProcessor", size={"height": 12, "width": 12})
    spelled(directory, {f"w{i}": i for i in range(103)} | {"<|image|>": 103}, ["<|image|>"])
    paths, logits = pictures(tmp_path)[:2], tmp_path / "logits.npy"
    said = ("--prompt", "w7 <|image|> w8 <|image|> w9 w11", "--compare", "transformers")
    options = ("--image", paths[0], "--image", paths[1], *said)
    _, out, error = run("forward", directory, *options, "--save-logits", logits, "--format", "json")
    assert (error, json.loads(out)["token_ids"]) == ("", [7, 103, 8, 103, 9, 11])
    assert "output-mismatch" not in {finding["code"] for finding in json.loads(out)["findings"]}
    inputs = {key: torch.as_tensor(array) for key, array in read_images(paths, directory, "x").items()}
    tokens = [7, 103, 8, 103, 9, 11]
    masked = inputs | {"cross_attention_mask": processor_s_mask(tokens, inputs)}
    assert seeing.off(torch.as_tensor(np.load(logits)), seeing.theirs(directory, tokens, masked)) < 1e-4
