"""`weightscope forward --image`: a picture and a prompt as a person gives them, against transformers' own processor."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.forward.test_image import EPS, LLAVA_15, black, picture, theirs

Run = Callable[..., tuple[int, str, str]]
FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, PLACES = 99, 16
SETTINGS = LLAVA_15 | {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}


@pytest.fixture
def llava(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """The tiny LLaVA with a processor, and a tokenizer of numbered words."""
    directory = tmp_path / "llava"
    shutil.copytree(saved("llava"), directory)
    (directory / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    words = {f"w{i}": i for i in range(101) if i != IMAGE} | {"<image>": IMAGE}
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<image>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def expected(llava: Path, tokens: list[int], image: Path) -> Any:
    from transformers import LlavaForConditionalGeneration

    pixels = torch.as_tensor(theirs("clip", SETTINGS, image))
    with torch.no_grad():
        model = LlavaForConditionalGeneration.from_pretrained(llava)
        return model(input_ids=torch.tensor([tokens]), pixel_values=pixels).logits[0].numpy()


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        (("--tokens", "1,99,5"), [1, *[IMAGE] * PLACES, 5]),
        (("--tokens", ",".join(["1", *["99"] * PLACES, "5"])), [1, *[IMAGE] * PLACES, 5]),
        (("--tokens", "1,5"), [*[IMAGE] * PLACES, 1, 5]),
        (("--prompt", "w7 <image> w8"), [7, *[IMAGE] * PLACES, 8]),
        (("--prompt", "w7 w8"), [*[IMAGE] * PLACES, 7, 8]),
    ],
)
def test_a_picture_and_a_prompt(
    options: tuple[str, ...], tokens: list[int], llava: Path, run: Run, tmp_path: Path
) -> None:
    image = picture(tmp_path / "picture.png", 50, 40)
    logits = tmp_path / "logits.npy"
    status, out, error = run("forward", llava, *options, "--image", image, "--save-logits", logits, "--format", "json")
    outcome = json.loads(out)
    assert (status, error, outcome["token_ids"]) == (0, "", tokens)
    names = [stage["stage"] for stage in outcome["stages"]]
    assert names[:2] == ["vision patch embedding", "vision embedding norm"]
    assert names.index("projector") < names.index("token embedding") < names.index("image in place")
    np.testing.assert_allclose(np.load(logits), expected(llava, tokens, image), rtol=1e-4, atol=1e-4)


def test_what_was_not_run_is_said(llava: Path, run: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", 50, 40)
    seen = json.loads(run("forward", llava, "--tokens", "1,99,5", "--image", image, "--format", "json")[1])
    unseen = json.loads(run("forward", llava, "--tokens", "1,5", "--format", "json")[1])
    assert (seen["not_run"], unseen["not_run"]) == ([], ["vision", "projector"])
    assert "Not run: vision, projector." in " ".join(run("forward", llava, "--tokens", "1,5")[1].split())
    assert json.loads(run("forward", FIXTURES / "deepseek-v3", "--json")[1])["not_run"] == ["mtp"]
    assert json.loads(run("forward", FIXTURES / "llama", "--json")[1])["not_run"] == []


def test_losses_leave_the_image_out(llava: Path, run: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", 50, 40)
    _, out, _ = run("forward", llava, "--prompt", "w7 <image> w8 w9 w10 w11", "--image", image, "--format", "json")
    assert json.loads(out)["predictions"] == 4


def test_compared_with_transformers(llava: Path, run: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", 50, 40)
    options = ("--tokens", "1,99,5", "--image", image, "--compare", "transformers", "--format", "json")
    status, out, _ = run("forward", llava, *options)
    outcome = json.loads(out)
    assert (status, outcome["checked"][-1]) == (0, "transformers")
    assert {"embedding", "layer 0", "layer 1", "layer 2", "logits"} == {c["stage"] for c in outcome["compared"]}


def test_a_golden_file_of_an_image_wants_it_again(llava: Path, run: Run, tmp_path: Path) -> None:
    image, golden = picture(tmp_path / "picture.png", 50, 40), tmp_path / "golden.json"
    assert run("forward", llava, "--prompt", "w7 w8", "--image", image, "--record", golden)[0] == 0
    assert run("forward", llava, "--image", image, "--expect", golden)[0] == 0
    status, _, error = run("forward", llava, "--expect", golden)
    assert status == 2
    assert "was recorded with an image, and none was given; give --image picture.png" in error
    other = picture(tmp_path / "other.png", 40, 50)
    assert run("forward", llava, "--image", other, "--expect", golden)[0] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tokens", "1,99,99,5"), "the prompt has 2 image tokens (id 99), but one image takes 1 or 16"),
        (("--image", "nowhere.png"), "nowhere.png: cannot be read as an image"),
    ],
)
def test_what_does_not_fit(options: tuple[str, ...], said: str, llava: Path, run: Run, tmp_path: Path) -> None:
    image = picture(tmp_path / "picture.png", 50, 40)
    given = options if "--image" in options else (*options, "--image", str(image))
    status, out, error = run("forward", llava, *given)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert said in error


@pytest.mark.parametrize(
    ("name", "content", "settings", "said"),
    [
        ("photo.jpg", EPS, SETTINGS, "photo.jpg: cannot be read as an image (it is an image of no known format)"),
        ("bomb.png", None, SETTINGS, "bomb.png: cannot be read as an image (it has 60,000 × 60,000 pixels"),
        ("small.png", b"", SETTINGS | {"crop_size": 16_384}, "has settings that cannot be used (a crop_size of 16,384"),
    ],
)
def test_hostile_images(
    name: str, content: bytes | None, settings: dict[str, Any], said: str, llava: Path, run: Run, tmp_path: Path
) -> None:
    (llava / "preprocessor_config.json").write_text(json.dumps(settings))
    path = tmp_path / name
    if content is None:
        black(path, 60_000, 60_000)
    else:
        path.write_bytes(content)
    status, out, error = run("forward", llava, "--prompt", "w7", "--image", path)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert said in error


def test_a_vision_encoder_alone(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "clip"
    shutil.copytree(saved("clip_vision_model"), directory)
    (directory / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    image = picture(tmp_path / "picture.png", 50, 40)
    status, out, error = run("forward", directory, "--image", image, "--format", "json")
    outcome = json.loads(out)
    assert (status, error, outcome["tokens"], outcome["top"]) == (0, "", 0, [])
    assert outcome["stages"][-1]["stage"] == "vision pooled"
    for options, said in (((), "a vision encoder needs an image"), (("--tokens", "1"), "takes no tokens")):
        status, _, error = run("forward", directory, *options)
        assert status == 2
        assert said in error
    status, _, error = run("forward", directory, "--image", image, "--save-logits", tmp_path / "x.npy")
    assert status == 2
    assert "there are no logits" in error
