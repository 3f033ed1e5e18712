"""Image files as tiles, and the tokens beside them, by transformers' own processors; `forward` with two images."""

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
from weightscope.analyses.forward.images import read_images
from weightscope.components.vision.tile_eye import TileEye
from weightscope.errors import CheckpointError

Run = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {
    "image_processor_type": "Idefics3ImageProcessor", "size": {"longest_edge": 112},
    "max_image_size": {"longest_edge": 28},
}  # fmt: skip
SIZES = [(97, 61), (20, 20), (8, 130), (64, 40), (33, 95), (300, 41)]
MEANS = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
SPECIAL = [
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 6) for column in range(1, 6)),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["Idefics3", "SmolVLM"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        MEANS | {"resample": 3},
        {"do_image_splitting": False, "size": {"height": 50, "width": 70}},
        {"do_resize": False, "max_image_size": {"longest_edge": 32}},
        {"do_normalize": False, "do_pad": False, "rescale_factor": 0.01},
        {"size": {"longest_edge": 28}},
    ],
)
def test_tiles_are_those_of_transformers(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    said = SMALL | settings | {"image_processor_type": f"{kind}ImageProcessorFast"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    paths = [photograph(tmp_path / f"{n}.png", size) for n, size in enumerate(SIZES)]
    keys = {key: value for key, value in said.items() if key != "image_processor_type"}
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**keys)
    theirs = processor([Image.open(path) for path in paths], return_tensors="np", return_row_col_info=True)
    ours = read_images(paths, tmp_path, "Idefics3ImageProcessor")
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def test_a_large_image_of_the_published_settings(tmp_path: Path) -> None:
    """granite-docling's."""
    published = {"max_image_size": {"longest_edge": 512}, "resample": 1, "size": {"longest_edge": 2048}}
    settings = published | {"image_processor_type": "Idefics3ImageProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    path = photograph(tmp_path / "a.png", (1500, 700))
    processor = transformers.Idefics3ImageProcessorPil(**published)
    theirs = processor([Image.open(path)], return_tensors="np", return_row_col_info=True)
    ours = read_images([path], tmp_path, "Idefics3ImageProcessor")
    assert (theirs["rows"], theirs["cols"]) == ([[2]], [[4]])
    np.testing.assert_array_equal((ours["rows"], ours["cols"]), ([[2]], [[4]]))
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": {"shortest_edge": 28}}, "neither a longest_edge nor height and width"),
        ({"max_image_size": {"longest_edge": 1}}, "the limit is 1,024 tiles"),
        ({"size": {"longest_edge": 4096}, "max_image_size": {"longest_edge": 4096}}, "the limit is"),
        ({"max_image_size": {"longest_edge": 0}}, "has settings that cannot be used"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL | settings))
    with pytest.raises(CheckpointError, match=said):
        read_images([photograph(tmp_path / "a.png", (40, 30))], tmp_path, "Idefics3ImageProcessor")


@pytest.mark.parametrize("grid", [(0, 0), (1, 3), (3, 2)])
@pytest.mark.parametrize("kind", ["Idefics3", "SmolVLM"])
def test_an_image_is_written_as_their_processor_writes_it(kind: str, grid: tuple[int, int]) -> None:
    rows, columns = grid
    names = {
        "fake_image_token": SPECIAL[1], "image_token": SPECIAL[0], "global_image_tag": SPECIAL[2],
        "global_image_token": SPECIAL[2], "image_seq_len": 4,
    }  # fmt: skip
    # One processor needs a package that writes numbers as words, for films alone: only its method is called.
    processor = getattr(transformers, f"{kind}Processor")
    theirs = processor.replace_image_token(SimpleNamespace(**names), {"rows": [[rows]], "cols": [[columns]]}, 0)
    pieces = TileEye._layout(TileEye, rows, columns, 4)  # type: ignore[arg-type]
    assert "".join("<image>" * piece if isinstance(piece, int) else str(piece) for piece in pieces) == theirs


@pytest.fixture
def docling(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Idefics 3 with room for bytes and special tokens, and its processor's settings."""
    source = tmp_path / "source"
    source.mkdir()
    config = json.loads((saved("idefics3") / "config.json").read_text())
    config["text_config"]["vocab_size"] = 256 + len(SPECIAL)
    (source / "config.json").write_text(json.dumps(config | {"image_token_id": 256}))
    directory = seeing.lively(source, tmp_path / "m")
    (directory / "preprocessor_config.json").write_text(json.dumps(SMALL))
    return directory


def test_two_images_and_a_prompt_at_the_command_line(docling: Path, run: Run, tmp_path: Path) -> None:
    """What transformers' processor makes of them, through transformers' model."""
    paths = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    keys = {key: value for key, value in SMALL.items() if key != "image_processor_type"}
    processor = transformers.Idefics3Processor(
        transformers.Idefics3ImageProcessorPil(**keys), seeing.byte_tokenizer(docling, SPECIAL), image_seq_len=4
    )
    text = "What is<image> and <image>?"
    made = dict(processor(text=[text], images=[[Image.open(path) for path in paths]], return_tensors="pt"))
    tokens = made.pop("input_ids")[0].tolist()
    made.pop("attention_mask")
    wanted = seeing.theirs(docling, tokens, made)
    logits = tmp_path / "logits.npy"
    options = ("--image", paths[0], "--image", paths[1], "--prompt", text, "--compare", "transformers")
    _, out, error = run("forward", docling, *options, "--save-logits", logits, "--format", "json")
    shown = json.loads(out)
    # Random weights cannot read.
    assert (error, [finding["code"] for finding in shown["findings"]]) == ("", ["uniform-loss"])
    assert shown["tokens"] == len(tokens)
    assert {"layer 0", "logits"} <= {item["stage"] for item in shown["compared"]}
    assert seeing.off(torch.as_tensor(np.load(logits)), wanted) < 1e-4


def test_tokens_without_a_tokenizer(docling: Path, run: Run, tmp_path: Path) -> None:
    """The tokens between the tiles are only known to a tokenizer; ready inputs may say all of them."""
    path = photograph(tmp_path / "a.png", (50, 30))
    status, _, error = run("forward", docling, "--image", path, "--tokens", "5,6,7")
    assert (status, "tokenizer.json is missing" in error) == (2, True)
    tiles = read_images([path], docling, "Idefics3ImageProcessor")["pixel_values"].shape[1]
    whole = ",".join(["256"] * 4 * tiles)
    assert run("forward", docling, "--image", path, "--tokens", f"5,{whole},7")[0] == 0
