"""BLIP-2 and InstructBLIP by transformers' own models: images, an instruction, and what every tensor does."""

from __future__ import annotations

import json
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

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.errors import UsageError

BLIPS = [tiny for tiny in TINY if tiny.kind in ("Blip2", "InstructBlip")]
PIXELS = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
TOKENS = [*[99] * 5, 2, 7, *[99] * 5, 3, 88, 61]
WORDS = torch.tensor([[5, 60, 0, 7], [1, 1, 33, 9]])


def inputs_of(name: str) -> dict[str, Any]:
    return {"pixel_values": PIXELS} | ({"qformer_input_ids": WORDS} if name == "instructblip" else {})


@pytest.mark.parametrize("tiny", BLIPS, ids=lambda tiny: tiny.name)
def test_images(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    inputs = inputs_of(tiny.name)
    expected = seeing.theirs(directory, TOKENS, inputs)
    assert seeing.off(seeing.ours(directory, TOKENS, inputs), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, TOKENS, inputs | {"pixel_values": PIXELS + 1}), expected) > 1e-2
    if tiny.name == "instructblip":
        other = seeing.ours(directory, TOKENS, inputs | {"qformer_input_ids": WORDS.flip(1)})
        assert seeing.off(other, expected) > 1e-3


@pytest.mark.parametrize("tiny", BLIPS, ids=lambda tiny: tiny.name)
def test_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers' whole model wants an image, so it is held against its language model."""
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    tokens = [1, 2, 3, 40, 50]
    whole = transformers.AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = whole.language_model(torch.tensor([tokens])).logits[0]
    assert seeing.off(seeing.ours(directory, tokens), expected) < 1e-4


# A bias on keys shifts all scores of a query alike, which softmax does not see.
UNSEEN = ("attention.key.bias",)


@pytest.mark.parametrize("name", ["blip-2", "instructblip"])
def test_every_tensor_of_tower_and_bridge_moves_the_logits(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    names = [n for n in load_file(directory / "model.safetensors") if not n.startswith("language_model")]
    # Of equal layers one, and of InstructBLIP what BLIP-2 has not; what its last layer makes of the words is not used.
    names = [n for n in names if "encoder.layers.1." not in n and "encoder.layer.1." not in n]
    if name == "instructblip":
        own = ("qformer.embeddings", "qformer.encoder.layer.0.output.", "qformer.encoder.layer.2.intermediate.")
        names = [n for n in names if n.startswith(own)]
    still = seeing.unmoving(directory, TOKENS, inputs_of(name), names)
    unseen = {n for n in names if n.endswith(UNSEEN)}
    last = {n for n in names if n.startswith("qformer.encoder.layer.2.intermediate.")}
    assert still == unseen | last


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": PIXELS}, "qformer_input_ids is missing"),
        ({"qformer_input_ids": WORDS}, "pixel_values is missing"),
        ({"pixel_values": PIXELS, "qformer_input_ids": WORDS[0]}, r"shape \[4\], not \[2, tokens\]"),
        ({"pixel_values": PIXELS, "qformer_input_ids": WORDS[:1]}, r"shape \[1, 4\], not \[2, tokens\]"),
        ({"pixel_values": PIXELS, "qformer_input_ids": WORDS + 1}, "outside the Q-Former's table of 61 tokens"),
        ({"pixel_values": PIXELS, "qformer_input_ids": WORDS.repeat(1, 5)}, "and 19 positions"),
    ],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("instructblip")).forward(TOKENS, **inputs)


@pytest.mark.parametrize(
    "settings", [{}, {"size": {"height": 28, "width": 28}, "resample": 2}, {"do_normalize": False}]
)
@pytest.mark.parametrize("size", [(97, 61), (20, 20), (8, 130)])
def test_pixels_are_those_of_transformers(settings: dict[str, Any], size: tuple[int, int], tmp_path: Path) -> None:
    said = {"image_processor_type": "BlipImageProcessor"} | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    path = photograph(tmp_path / "a.png", size)
    theirs = transformers.BlipImageProcessorPil(**settings)(Image.open(path), return_tensors="np")
    ours = read_images([path], tmp_path, "BlipImageProcessor")
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


def test_the_command_takes_images(saved: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    directory = seeing.lively(saved("blip-2"), tmp_path / "m")
    said = {"image_processor_type": "BlipImageProcessor", "size": {"height": 28, "width": 28}}
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    path = photograph(tmp_path / "a.png", (97, 61))
    options = ["--tokens", "99,2,5", "--image", str(path), "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    outcome = json.loads(out)
    assert (status, error, outcome["checked"][-1]) == (0, "", "transformers")
    assert outcome["token_ids"] == [99] * 5 + [2, 5]


def test_a_prompt_is_written_as_the_processor_does(saved: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    """The image tokens come before the token that begins the text."""
    directory = seeing.lively(saved("blip-2"), tmp_path / "m")
    said = {"image_processor_type": "BlipImageProcessor", "size": {"height": 28, "width": 28}}
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    words = {"<unk>": 0, "</s>": 2, "<image>": 99} | {f"w{n}": n for n in (7, 8, 9)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    tokenizer.add_special_tokens(["</s>", "<image>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    path = photograph(tmp_path / "a.png", (97, 61))
    processor = transformers.Blip2Processor(
        transformers.BlipImageProcessorPil(size={"height": 28, "width": 28}),
        transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json")),
        num_query_tokens=5,
    )
    theirs = processor(Image.open(path), "w7 w9 w8")["input_ids"]
    options = ["--prompt", "w7 w9 w8", "--image", str(path), "--format", "json"]
    _, out, error = run("forward", str(directory), *options)
    assert error == ""
    assert [json.loads(out)["token_ids"]] == theirs == [[99] * 5 + [2, 7, 9, 8]]
