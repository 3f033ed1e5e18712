"""Idefics 2: images of two sizes through a perceiver, their files and the text around them, by transformers' own."""

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
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError, UsageError

Run = Callable[..., tuple[int, str, str]]
RESAMPLED = [tiny for tiny in TINY if tiny.kind == "Idefics2"]
TOKENS = [3, 98, *[99] * 5, 98, 7, *[99] * 5, 98, 11]
SMALL: dict[str, Any] = {
    "image_processor_type": "Idefics2ImageProcessor", "size": {"shortest_edge": 20, "longest_edge": 60},
}  # fmt: skip
SPECIAL = ["<image>", "<fake_token_around_image>", "<end_of_utterance>"]


def inputs() -> dict[str, Any]:
    """Two images, of 8 × 5 patches and of 4 × 6, of which the last pixels are not a whole patch."""
    pixels = torch.randn(1, 2, 3, 56, 45, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 2, 56, 45, dtype=torch.long)
    mask[0, 0, :, :38] = 1
    mask[0, 1, :29, :] = 1
    return {"pixel_values": pixels * mask[:, :, None], "pixel_attention_mask": mask}


@pytest.mark.parametrize("tiny", RESAMPLED, ids=lambda tiny: tiny.name)
def test_two_images_and_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    ours, theirs = seeing.ours(directory, TOKENS, inputs()), seeing.theirs(directory, TOKENS, inputs())
    assert seeing.off(ours, theirs) < 1e-4
    whole = {"pixel_values": inputs()["pixel_values"]}
    assert seeing.off(seeing.ours(directory, TOKENS, whole), seeing.theirs(directory, TOKENS, whole)) < 1e-4
    assert seeing.off(seeing.ours(directory, TOKENS, whole), ours) > 1e-2
    text = [1, 2, 3, 40, 50]
    assert seeing.off(seeing.ours(directory, text), seeing.theirs(directory, text)) < 1e-4


def test_every_tensor_of_the_eye_and_the_bridge_moves_the_logits(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("idefics2"), tmp_path / "m")
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        # A bias of keys adds the same to all scores of a query, which the softmax does not show.
        if ("vision_model" in name or "connector" in name) and not name.endswith("k_proj.bias")
    ]
    assert not seeing.unmoving(directory, TOKENS, inputs(), names)


def test_eye_bridge_and_language_are_counted_apart(saved: Callable[[str], Path]) -> None:
    tensors = load_file(saved("idefics2") / "model.safetensors")
    expected = [
        sum(tensor.numel() for name, tensor in tensors.items() if part in name)
        for part in ("vision_model", "connector")
    ]
    counted = {c.component: c.parameters for c in weightscope.open(saved("idefics2")).components}
    assert [counted["vision"], counted["projector"]] == expected


def test_an_image_without_a_whole_patch_is_said(saved: Callable[[str], Path]) -> None:
    mask = torch.zeros(1, 2, 56, 45, dtype=torch.long)
    mask[:, :, :6, :6] = 1
    with pytest.raises(UsageError, match="hides the first patch"):
        weightscope.open(saved("idefics2")).forward(TOKENS, **inputs() | {"pixel_attention_mask": mask})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"do_image_splitting": True, "resample": 3, "image_mean": [0.1, 0.2, 0.3]},
        {"size": {"height": 30, "width": 40}, "do_pad": False},
        {"do_resize": False, "do_normalize": False},
    ],
)
def test_images_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    said = SMALL | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    sizes = [(97, 61), (21, 20), (8, 130), (640, 40)]
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(sizes)]
    processor = transformers.Idefics2ImageProcessorPil(
        **{key: value for key, value in said.items() if key != "image_processor_type"}
    )
    theirs = processor([Image.open(path) for path in paths], return_tensors="np")
    ours = read_images(paths, tmp_path, "Idefics2ImageProcessor")
    assert ours.pop("num_patches").tolist() == [5 if settings.get("do_image_splitting") else 1] * 4
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": {"shortest_edge": 28}}, "neither shortest_edge and longest_edge nor height and width"),
        ({"do_pad": False}, "several sizes, and do_pad is false"),
        ({"size": {"shortest_edge": 16000, "longest_edge": 16000}}, "the limit is"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL | settings))
    paths = [photograph(tmp_path / "a.png", (40, 30)), photograph(tmp_path / "b.png", (30, 40))]
    with pytest.raises(CheckpointError, match=said):
        read_images(paths, tmp_path, "Idefics2ImageProcessor")


@pytest.fixture
def chatting(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Idefics 2 with room for bytes and special tokens, and a tokenizer of them."""
    source = tmp_path / "source"
    source.mkdir()
    config = json.loads((saved("idefics2") / "config.json").read_text())
    config["text_config"]["vocab_size"] = 256 + len(SPECIAL)
    (source / "config.json").write_text(json.dumps(config | {"image_token_id": 256}))
    directory = seeing.lively(source, tmp_path / "m")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    made.save(str(directory / "tokenizer.json"))
    return directory


@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize("text", ["<image><image>What?", "<image>is this<image> that"])
def test_two_images_and_a_prompt_at_the_command_line(
    text: str, splits: bool, chatting: Path, run: Run, tmp_path: Path
) -> None:
    """What transformers' processor makes of them, through transformers' model."""
    said = SMALL | {"do_image_splitting": splits}
    (chatting / "preprocessor_config.json").write_text(json.dumps(said))
    paths = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    keys = {key: value for key, value in said.items() if key != "image_processor_type"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(chatting / "tokenizer.json"))
    processor = transformers.Idefics2Processor(
        transformers.Idefics2ImageProcessorPil(**keys), tokenizer, image_seq_len=5
    )
    made = dict(processor(text=[text], images=[[Image.open(path) for path in paths]], return_tensors="pt"))
    tokens = made.pop("input_ids")[0].tolist()
    made.pop("attention_mask")
    wanted = seeing.theirs(chatting, tokens, made)
    logits = tmp_path / "logits.npy"
    options = ("--image", paths[0], "--image", paths[1], "--prompt", text, "--save-logits", logits, "--format", "json")
    _, out, error = run("forward", chatting, *options)
    assert (error, json.loads(out)["tokens"]) == ("", len(tokens))
    assert seeing.off(torch.as_tensor(np.load(logits)), wanted) < 1e-4
    if text.startswith("<image><image>"):
        # Ids of the text alone, after two places side by side; the blank before the word is not made of ids.
        ids = [256, 256, *tokenizer("What?")["input_ids"]]
        options = (*options[:4], "--tokens", ",".join(map(str, ids)), *options[6:])
        assert json.loads(run("forward", chatting, *options)[1])["tokens"] == len(tokens) - 1
