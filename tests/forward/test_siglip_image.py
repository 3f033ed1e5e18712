"""Image files as SigLIP and Gemma 3 take them, by transformers' own Pillow processors; their prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("kind", ["Siglip", "Gemma3"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"size": {"height": 28, "width": 28}, "resample": 2},
        {"size": {"height": 30, "width": 20}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
        {"do_resize": False},
        {"do_normalize": False, "do_center_crop": None, "size": {"height": 56, "width": 56}},
        {"do_rescale": False, "do_pan_and_scan": False},
    ],
)
def test_pixels_are_those_of_transformers(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    said = settings | {"image_processor_type": f"{kind}ImageProcessorFast"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    path = photograph(tmp_path / "a.png", (97, 61))
    theirs = getattr(transformers, f"{kind}ImageProcessorPil")(**settings)(images=[Image.open(path)])
    ours = read_images([path], tmp_path, "CLIPImageProcessor")
    np.testing.assert_allclose(ours["pixel_values"], np.stack(theirs["pixel_values"]), rtol=1e-5, atol=1e-5)


def test_one_number_is_the_shorter_edge_or_both(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png", (97, 61))
    for kind in ("Siglip", "Gemma3"):
        (tmp_path / "preprocessor_config.json").write_text(
            json.dumps({"image_processor_type": f"{kind}ImageProcessor", "size": 30})
        )
        theirs = getattr(transformers, f"{kind}ImageProcessorPil")(size=30)(images=[Image.open(path)])
        ours = read_images([path], tmp_path, "x")
        np.testing.assert_allclose(ours["pixel_values"], np.stack(theirs["pixel_values"]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"do_pan_and_scan": True}, NotImplementedByWeightscope, "do_pan_and_scan of Gemma3ImageProcessor"),
        ({"do_pad": True}, NotImplementedByWeightscope, "do_pad of Gemma3ImageProcessor"),
        ({"size": {"height": -1, "width": 3}}, CheckpointError, "has settings that cannot be used"),
        ({"size": {"height": 16384, "width": 16384}}, Exception, "the limit is"),
    ],
)
def test_what_is_not_done_is_said(settings: dict[str, Any], error: type[Exception], said: str, tmp_path: Path) -> None:
    written = {"image_processor_type": "Gemma3ImageProcessor"} | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
    with pytest.raises(error, match=said):
        read_images([photograph(tmp_path / "a.png", (40, 30))], tmp_path, "x")


def words(directory: Path, special: dict[str, int]) -> None:
    """A tokenizer of numbered words, which puts token 1 before a text, and has one for two line ends."""
    names = special | {"\n\n": 90, "\n": 91}
    known = {f"w{i}": i for i in range(101) if i not in names.values()} | names
    tokenizer = Tokenizer(models.WordLevel(vocab=known, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="removed")
    tokenizer.add_special_tokens([*special, "\n\n", "\n"])
    tokenizer.post_processor = processors.TemplateProcessing(single="w1 $A", special_tokens=[("w1", 1)])
    tokenizer.save(str(directory / "tokenizer.json"))


def runs(directory: Path, run: Run, tmp_path: Path, *options: str) -> tuple[list[int], Any]:
    logits = tmp_path / "logits.npy"
    images = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    given = ("--image", images[0], "--image", images[1], *options)
    status, out, error = run("forward", directory, *given, "--save-logits", logits, "--format", "json")
    found = json.loads(out)
    # A pass over random weights reads no text.
    assert {finding["code"] for finding in found["findings"]} <= {"uniform-loss"}
    assert (status, error) == (1 if found["findings"] else 0, "")
    return found["token_ids"], np.load(logits)


GEMMA3 = [90, 96, *[95] * 4, 97, 90]
SIZE = {"size": {"height": 35, "width": 35}, "image_processor_type": "Gemma3ImageProcessor"}


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        # What `Gemma3Processor` writes: two line ends, the tokens of an image between two others, two line ends.
        (("--prompt", "w7 <boi> w8 <boi> w9"), [1, 7, *GEMMA3, 8, *GEMMA3, 9]),
        (("--prompt", "w7"), [1, *GEMMA3, *GEMMA3, 91, 7]),
        (("--tokens", "1,7,96,8,96"), [1, 7, *GEMMA3, 8, *GEMMA3]),
        (("--tokens", "1,7,95,8,95"), [1, 7, *GEMMA3, 8, *GEMMA3]),
        (("--tokens", "7,8"), [*GEMMA3, *GEMMA3, 7, 8]),
    ],
)
def test_gemma_3_at_the_command_line(
    options: tuple[str, ...], tokens: list[int], saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    directory = tmp_path / "m"
    seeing.lively(saved("gemma3-odd-squares"), directory)
    (directory / "preprocessor_config.json").write_text(json.dumps(SIZE))
    words(directory, {"<boi>": 96, "<eoi>": 97, "<img>": 95})
    ids, logits = runs(directory, run, tmp_path, *options)
    assert ids == tokens
    pixels = read_images([tmp_path / "a.png", tmp_path / "b.png"], directory, "x")["pixel_values"]
    kinds = (torch.tensor([ids]) == 95).int()
    expected = seeing.theirs(directory, ids, {"pixel_values": torch.as_tensor(pixels), "token_type_ids": kinds})
    assert seeing.off(torch.as_tensor(logits), expected) < 1e-4


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        # What `PaliGemmaProcessor` writes: the images, the token that begins a text, the text, a line end.
        (("--prompt", "w7 w8"), [*[99] * 32, 2, 7, 8, 91]),
        (("--prompt", "<image><image>w7 w8"), [*[99] * 32, 2, 7, 8, 91]),
        (("--tokens", "7,8"), [*[99] * 32, 7, 8]),
    ],
)
def test_paligemma_at_the_command_line(
    options: tuple[str, ...], tokens: list[int], saved: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    directory = tmp_path / "m"
    seeing.lively(saved("paligemma-2"), directory)
    settings = {"size": {"height": 28, "width": 28}, "image_processor_type": "SiglipImageProcessor"}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    words(directory, {"<image>": 99, "<bos>": 2})
    config = json.loads((directory / "config.json").read_text())
    config["text_config"]["bos_token_id"] = 2
    (directory / "config.json").write_text(json.dumps(config))
    assert runs(directory, run, tmp_path, *options)[0] == tokens


@pytest.mark.parametrize("name", ["gemma3-odd-squares", "paligemma-2"])
def test_compared_with_transformers(name: str, saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    settings = {"size": {"height": 35 if "3" in name else 28, "width": 35 if "3" in name else 28}}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    image = photograph(tmp_path / "a.png", (50, 30))
    options = ("--tokens", f"3,{95 if '3' in name else 99},5,6" if name == "paligemma-2" else "3," + "95," * 4 + "5,6")
    status, out, error = run(
        "forward", directory, "--image", image, *options, "--compare", "transformers", "--format", "json"
    )
    assert (status, error) == (0, "")
    assert {"layer 0", "layer 2", "logits"} <= {item["stage"] for item in json.loads(out)["compared"]}
