"""LLaVA's siblings by transformers' own models: images of other shapes, several, and what every tensor does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError, WeightscopeError

IMAGE = 99
# Height and width of images that are cut into two tiles side by side, into four, and into three below each other.
SIZES = [[28, 50], [64, 40], [90, 20]]
TILES = [3, 5, 4]
KINDS = ("Llava", "VipLlava", "LlavaNext", "LlavaOnevision", "VideoLlava")
TINY_LLAVAS = [tiny for tiny in TINY if tiny.kind in KINDS and tiny.model == "ForConditionalGeneration"]
CUT = [tiny for tiny in TINY_LLAVAS if tiny.kind in ("LlavaNext", "LlavaOnevision")]
# Pixtral's tower takes images of any size: test_packed_images.
WHOLE = [tiny for tiny in TINY_LLAVAS if tiny not in CUT and "pixtral" not in tiny.name]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def side(tiny: Any) -> int:
    return int(tiny.keys["vision_config"]["image_size"])


def cut(count: int = 3) -> dict[str, Any]:
    """Images as the processor makes them, padded with empty tiles to the same number."""
    pixels = noise(count, max(TILES), 3, 28, 28)
    for image, tiles in zip(pixels, TILES, strict=False):
        image[tiles:] = 0
    return {"pixel_values": pixels, "image_sizes": torch.tensor(SIZES[:count])}


def tokens_for(directory: Path, inputs: dict[str, torch.Tensor]) -> list[int]:
    """A prompt with all images, as many tokens for each as the model's eye says."""
    counts = weightscope.open(directory).declaration.tree.eye.counts(inputs)  # type: ignore[union-attr]
    return [1, 7, *(token for count in counts for token in (*[IMAGE] * count, 3)), 88, 61]


@pytest.mark.parametrize("tiny", WHOLE, ids=lambda tiny: tiny.name)
def test_crops(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    inputs = {"pixel_values": noise(2, 3, side(tiny), side(tiny))}
    tokens = tokens_for(directory, inputs)
    expected = seeing.theirs(directory, tokens, inputs)
    assert seeing.off(seeing.ours(directory, tokens, inputs), expected) < 1e-4
    other = seeing.ours(directory, tokens, {"pixel_values": inputs["pixel_values"] + 1})
    assert seeing.off(other, expected) > 1e-2


@pytest.mark.parametrize("tiny", CUT, ids=lambda tiny: tiny.name)
def test_images_in_tiles(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    inputs = cut()
    tokens = tokens_for(directory, inputs)
    expected = seeing.theirs(directory, tokens, inputs)
    assert seeing.off(seeing.ours(directory, tokens, inputs), expected) < 1e-4
    flat = inputs | {
        "pixel_values": torch.cat([image[:tiles] for image, tiles in zip(inputs["pixel_values"], TILES, strict=True)])
    }
    assert seeing.off(seeing.ours(directory, tokens, flat), expected) < 1e-4


@pytest.mark.parametrize("tiny", [t for t in CUT if t.kind == "LlavaOnevision"], ids=lambda tiny: tiny.name)
@pytest.mark.parametrize("batches", [[2], [1, 1]])
def test_several_images_of_one_prompt_are_not_cut(
    batches: list[int], tiny: Any, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    inputs = cut(2) | {"batch_num_images": torch.tensor(batches)}
    if batches == [2]:
        inputs["pixel_values"] = inputs["pixel_values"][:, :1]
    tokens = tokens_for(directory, inputs)
    expected = seeing.theirs(directory, tokens, inputs)
    assert seeing.off(seeing.ours(directory, tokens, inputs), expected) < 1e-4


@pytest.mark.parametrize("tiny", TINY_LLAVAS, ids=lambda tiny: tiny.name)
def test_text_alone(tiny: Any, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(tiny.name), tmp_path / "m")
    tokens = [1, 2, 3, 40, 50]
    assert seeing.off(seeing.ours(directory, tokens), seeing.theirs(directory, tokens)) < 1e-4


# A bias on keys shifts all scores of a query alike, which softmax does not see; the last norm acts on no features.
UNSEEN = ("self_attn.k_proj.bias", "post_layernorm.weight", "post_layernorm.bias")


def test_every_tensor_of_the_eye_moves_the_logits(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("llava-several-layers"), tmp_path / "m")
    inputs = {"pixel_values": noise(2, 3, 28, 28)}
    names = [name for name in load_file(directory / "model.safetensors") if not name.startswith("language_model")]
    still = seeing.unmoving(directory, tokens_for(directory, inputs), inputs, names)
    assert still == {name for name in names if name.endswith(UNSEEN)}


@pytest.mark.parametrize("name", ["vipllava", "llava_next", "llava_onevision"])
def test_every_tensor_of_the_bridge_moves_the_logits(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved(name), tmp_path / "m")
    inputs = {"pixel_values": noise(2, 3, 28, 28)} if name == "vipllava" else cut(2)
    tensors = load_file(directory / "model.safetensors")
    names = [name for name in tensors if name.startswith(("multi_modal_projector", "image_newline"))]
    assert not seeing.unmoving(directory, tokens_for(directory, inputs), inputs, names)


def test_the_tower_of_videos_is_counted_and_not_used(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = seeing.lively(saved("video_llava"), tmp_path / "m")
    inputs = {"pixel_values": noise(1, 3, 28, 28)}
    names = [name for name in load_file(directory / "model.safetensors") if name.startswith("video_tower")]
    assert seeing.unmoving(directory, tokens_for(directory, inputs), inputs, names[:3]) == set(names[:3])
    tiny = next(tiny for tiny in TINY_LLAVAS if tiny.name == "video_llava")
    towers = sum(p.numel() for name, p in tiny.build().named_parameters() if "_tower" in name)
    counted = {c.component: c.parameters for c in weightscope.open(directory).components}
    assert counted["vision"] == towers
    with pytest.raises(UsageError, match="stands for a video"):
        weightscope.open(directory).forward([100, 1])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"pixel_values": noise(1, 3, 3, 28, 28)}, "image_sizes is missing"),
        ({"image_sizes": torch.tensor(SIZES)}, "pixel_values is missing"),
        (cut() | {"image_sizes": torch.tensor([30, 57])}, r"image_sizes has shape \[2\], not \[images, 2\]"),
        (cut() | {"image_sizes": torch.tensor([[0, 57]])}, "a side has 1 to"),
        (cut(2) | {"image_sizes": torch.tensor(SIZES)}, r"image_sizes tells \[3, 5, 4\] crops"),
        (cut(2) | {"pixel_values": noise(7, 3, 28, 28)}, r"shape \[7, 3, 28, 28\], and image_sizes tells \[3, 5\]"),
        (cut(1) | {"pixel_values": noise(1, 5, 3, 28, 35)}, "does not fit"),
        (cut(1), "image tokens"),
        (cut(2) | {"batch_num_images": torch.tensor([3])}, r"batch_num_images is \[3\], and image_sizes has 2 images"),
    ],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("llava_onevision")).forward([1, 2], **inputs)


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("llava_next", {"vision_feature_select_strategy": "full"}, "keeps the class vector"),
        ("llava_onevision", {"vision_feature_select_strategy": "default"}, "drops the first patch"),
        ("llava_next", {"image_grid_pinpoints": [[28, 55]]}, "no multiples of the vision encoder's image_size 28"),
        ("llava_onevision", {"vision_aspect_ratio": "anyres"}, "vision_aspect_ratio 'anyres'"),
    ],
)
def test_images_that_transformers_fails_on_are_refused(
    name: str, keys: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    config = json.loads((saved(name) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | keys))
    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    model = weightscope.open(tmp_path)
    assert model.forward([1, 2]).finite
    with pytest.raises(WeightscopeError, match=said):
        model.forward([1, 2], **cut())
