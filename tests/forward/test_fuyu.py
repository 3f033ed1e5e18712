"""Fuyu by transformers' own model: patches of two images, a flat config, image files, the prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers.models.fuyu.processing_fuyu import FuyuProcessor

import weightscope
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.errors import UsageError, WeightscopeError

PATCHES = torch.randn(5, 48, generator=torch.Generator().manual_seed(1))
TOKENS = [*[99] * 2, 70, *[99] * 2, 70, 1, 7, 99, 70, 1, 88, 61]
SIZES = [(40, 22), (12, 8), (97, 61), (9, 130)]
SMALL = {"size": {"height": 40, "width": 60}, "patch_size": {"height": 4, "width": 4}}


@pytest.mark.parametrize("name", ["fuyu", "fuyu-tied"])
def test_patches_and_text_alone(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    expected = seeing.theirs(directory, TOKENS, {"pixel_values": PATCHES[None]})
    assert seeing.off(seeing.ours(directory, TOKENS, {"pixel_values": PATCHES}), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, TOKENS, {"pixel_values": PATCHES + 1}), expected) > 1e-2
    assert seeing.off(seeing.ours(directory, [1, 2, 3, 40]), seeing.theirs(directory, [1, 2, 3, 40])) < 1e-4


def test_every_tensor_moves_the_logits(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("fuyu"), tmp_path / "m")
    names = [name for name in load_file(directory / "model.safetensors") if "layers.1." not in name]
    assert not seeing.unmoving(directory, TOKENS, {"pixel_values": PATCHES}, names)


def test_a_flat_config_is_read_as_a_nested_one(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """As adept/fuyu-8b is published; transformers reads it so too."""
    directory = seeing.lively(saved("fuyu"), tmp_path / "m")
    config = json.loads((directory / "config.json").read_text())
    text = config.pop("text_config")
    own = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    flat = config | {key: text[key] for key in own} | {"rope_theta": 25000.0}
    (directory / "config.json").write_text(json.dumps(flat))
    inputs = {"pixel_values": PATCHES}
    assert seeing.off(seeing.ours(directory, TOKENS, inputs), seeing.theirs(directory, TOKENS, inputs)) < 1e-4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", [SMALL, SMALL | {"padding_value": 200, "image_mean": 0.4, "resample": 3}])
def test_patches_of_a_file_are_those_of_transformers(
    settings: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    said = {"image_processor_type": "FuyuImageProcessor"} | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    path = photograph(tmp_path / "a.png", size)
    processor = transformers.FuyuImageProcessorPil(**settings)
    theirs = processor(Image.open(path))
    high, wide = (theirs[f"image_unpadded_{side}"][0][0] for side in ("heights", "widths"))
    image = theirs["images"][0][0][:, : math.ceil(high / 4) * 4, : math.ceil(wide / 4) * 4]
    ours = read_images([path], tmp_path, "FuyuImageProcessor")
    assert (ours["image_unpadded_heights"].tolist(), ours["image_unpadded_widths"].tolist()) == ([[high]], [[wide]])
    np.testing.assert_allclose(ours["pixel_values"], processor.patchify_image(image), rtol=1e-5, atol=1e-5)


def test_the_prompt_is_the_processor_s(saved: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    directory = seeing.lively(saved("fuyu"), tmp_path / "m")
    said = {"image_processor_type": "FuyuImageProcessor"} | SMALL
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    words = {"<unk>": 0, "<s>": 1, "|NEWLINE|": 70, "|SPEAKER|": 99, "w7": 7, "w8": 8}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<s>", "|NEWLINE|", "|SPEAKER|"])
    tokenizer.save(str(directory / "tokenizer.json"))
    path = photograph(tmp_path / "a.png", (11, 7))
    theirs: Any = FuyuProcessor.__new__(FuyuProcessor)
    theirs.image_token, theirs.image_newline_token = "|SPEAKER|", "|NEWLINE|"
    text = theirs.replace_image_token({}, 0, num_patches=6, row_width=3)
    options = ["--prompt", "|SPEAKER| w7 w8", "--image", str(path), "--format", "json"]
    _, out, error = run("forward", str(directory), *options)
    assert error == ""
    ids = [tokenizer.token_to_id(token) for token in text.replace("|<", "| <").replace("||", "| |").split()]
    assert json.loads(out)["token_ids"] == [*ids, 7, 8] == [99, 99, 99, 70, 99, 99, 99, 70, 1, 7, 8]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": torch.zeros(5, 47)}, r"shape \[5, 47\], not \[patches, 48\]"),
        ({"pixel_values": PATCHES[:4]}, "image tokens"),
        ({"image_unpadded_heights": [[4]]}, "pixel_values is missing"),
        ({"pixel_values": PATCHES, "image_unpadded_heights": [[4]], "image_unpadded_widths": [[4]]}, "5 patches, and"),
        ({"pixel_values": PATCHES, "image_unpadded_heights": [[0]], "image_unpadded_widths": [[4]]}, "a side has 1"),
    ],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("fuyu")).forward(TOKENS, **inputs)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_pad": False}, "is not padded"),
        ({"do_resize": False, "size": {"height": 4, "width": 4}}, "is not resized"),
        ({"patch_size": {"height": 4}}, "patch_size without height and width"),
        ({"size": {"height": 16000, "width": 16000}}, "at most"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL | settings))
    with pytest.raises(WeightscopeError, match=said):
        read_images([photograph(tmp_path / "a.png", (11, 7))], tmp_path, "FuyuImageProcessor")
