"""Tiles of pictures as Phi-4-multimodal's processors make them, and prompts in which they are written out."""

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

from fixtures.images import make_phi4 as made
from fixtures.images.pictures import png
from tests.families.tiny import Tiny
from tests.families.tiny_phi4 import TINY_PHI4
from tests.forward import seeing
from weightscope.analyses.forward.images import read_images
from weightscope.errors import CheckpointError, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "images"
Run = Callable[..., tuple[int, str, str]]


def pictures(folder: Path, scale: int = 1) -> list[Path]:
    paths = [folder / f"{width}x{height}.png" for width, height in made.SIZES]
    for path, (width, height) in zip(paths, made.SIZES, strict=True):
        path.write_bytes(png(scale * width, scale * height))
    return paths


def settings(folder: Path, kind: str = "Phi4MultimodalImageProcessorFast", **changes: Any) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": kind, **changes}))


@pytest.mark.parametrize("name", made.SETTINGS)
def test_tiles_as_torchvision_makes_them(name: str, tmp_path: Path) -> None:
    """Within 0.001, as the fixture is kept in float16; sizes and masks are equal."""
    settings(tmp_path, **made.SETTINGS[name])
    found = read_images(pictures(tmp_path), tmp_path, "x")
    expected = np.load(FIXTURES / "phi4.npz")
    np.testing.assert_array_equal(found["image_sizes"], expected[f"{name}.image_sizes"])
    np.testing.assert_array_equal(found["image_attention_mask"], expected[f"{name}.image_attention_mask"])
    np.testing.assert_allclose(found["image_pixel_values"], expected[f"{name}.image_pixel_values"], rtol=0, atol=1e-3)


def test_microsoft_s_processor_resizes_by_pillow(tmp_path: Path) -> None:
    """510 × 340 pixels in 2 × 1 tiles of 448; the sizes are literals of its rule, the maths is Pillow's and torch's."""
    settings(tmp_path, "Phi4MMImageProcessor", dynamic_hd=36, size={"height": 20, "width": 20})
    (tmp_path / "a.png").write_bytes(png(510, 340))
    found = read_images([tmp_path / "a.png"], tmp_path, "x")
    canvas = Image.new("RGB", (896, 448), (255, 255, 255))
    canvas.paste(Image.open(tmp_path / "a.png").resize((672, 448), Image.Resampling.BILINEAR))
    pixels = torch.as_tensor((np.asarray(canvas, np.float32) / 255 - 0.5) / 0.5).permute(2, 0, 1)
    whole = torch.nn.functional.interpolate(pixels[None], size=(448, 448), mode="bicubic")
    expected = torch.stack((whole[0], pixels[:, :, :448], pixels[:, :, 448:]))
    np.testing.assert_allclose(found["input_image_embeds"][0], expected, rtol=0, atol=1e-5)
    assert found["image_sizes"].tolist() == [[448, 896]]
    mask = np.ones((3, 32, 32))
    mask[2, :, 16:] = 0
    np.testing.assert_array_equal(found["image_attention_mask"][0], mask)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"height": 20, "width": 30}}, {"size": {"shortest_edge": 20}}, {"resample": 1}, {"dynamic_hd": 0},
        {"do_rescale": False, "do_normalize": False}, {"size": {"height": 20, "width": 20}, "patch_size": 21},
        {"size": {"height": 4000, "width": 4000}}, {"patch_size": 0},
    ],
)  # fmt: skip
def test_settings_that_make_no_tiles(changes: dict[str, Any], tmp_path: Path) -> None:
    settings(tmp_path, **changes)
    with pytest.raises(CheckpointError, match="settings that cannot be used"):
        read_images(pictures(tmp_path)[:1], tmp_path, "x")


def test_a_picture_that_is_too_narrow(tmp_path: Path) -> None:
    """The class says 'the aspect ratio is very extreme (60, 9)'."""
    settings(tmp_path, size={"height": 20, "width": 20}, dynamic_hd=3)
    (tmp_path / "a.png").write_bytes(png(200, 31))
    with pytest.raises(UsageError, match="is too narrow: it would become 60 × 9 pixels"):
        read_images([tmp_path / "a.png"], tmp_path, "x")


def prompted(directory: Path, image: int) -> None:
    """A tokenizer of words between blanks, in the model's folder."""
    words = {f"w{i}": i for i in range(99) if i != image} | {"<|image|>": image}
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<|image|>"])
    tokenizer.save(str(directory / "tokenizer.json"))


def test_a_prompt_with_two_pictures(run: Run, tmp_path: Path) -> None:
    """Of 2 × 2 tiles, the last 4 of 14 rows of patches hidden, and of 3 × 2, the last columns hidden.

    Transformers' own model refuses another number of image tokens.
    """
    model = seeing.enlivened(TINY_PHI4[0].build())
    model.save_pretrained(tmp_path)
    settings(tmp_path, size={"height": 28, "width": 28}, patch_size=4, dynamic_hd=6)
    prompted(tmp_path, 95)
    wide, tall = pictures(tmp_path)[:2]
    logits = tmp_path / "logits.npy"
    options = ("--image", wide, "--image", tall, "--prompt", "w7 <|image|> w8 <|image|> w9")
    _, out, error = run("forward", tmp_path, *options, "--save-logits", logits, "--format", "json")
    assert error == ""
    tokens = json.loads(out)["token_ids"]
    # 6 of 8 pooled rows of 8 and one behind each, one between, and 4 rows of 4 of the whole with theirs.
    assert tokens[:77] == [7, *[95] * (6 * 9 + 1 + 4 * 5), 8]
    inputs = {name: torch.as_tensor(value) for name, value in read_images([wide, tall], tmp_path, "x").items()}
    model.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = model.eval()(input_ids=torch.tensor([tokens]), **inputs).logits[0]
    assert seeing.off(torch.as_tensor(np.load(logits)), theirs) < 1e-4


def test_tokens_in_tiles_of_448_pixels(tmp_path: Path) -> None:
    """As the class counts them, `num_img_tokens`; here by the number of tokens for which a pass asks."""
    vision = TINY_PHI4[0].keys["vision_config"] | {"image_size": 448, "crop_size": 448, "patch_size": 14}
    keys = TINY_PHI4[0].keys | {"vision_config": vision}
    Tiny("x", "Phi4Multimodal", keys).build().save_pretrained(tmp_path)
    settings(tmp_path)
    counts = np.load(FIXTURES / "phi4.npz")["num_img_tokens"].tolist()
    for path, count in zip(pictures(tmp_path, scale=10), counts, strict=True):
        inputs = read_images([path], tmp_path, "x")
        with pytest.raises(UsageError, match=f"{count:,}"):
            seeing.ours(tmp_path, [1, 95, 2], {name: torch.as_tensor(value) for name, value in inputs.items()})
