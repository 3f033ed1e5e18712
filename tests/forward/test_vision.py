"""Images through CLIP and LLaVA against transformers: features, logits, what each tensor does, what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import LLAMA, TINY, VISION, Tiny

IMAGE = 99
# Over CLIP; those over other towers have tests of their own.
WITH_IMAGE = [t for t in TINY if t.kind == "Llava" and t.keys["vision_config"].get("model_type") == "clip_vision_model"]
MORE = [
    Tiny("llava-last-layer", "Llava", {
        "text_config": LLAMA | {"model_type": "llama"}, "vision_config": VISION, "image_token_index": IMAGE,
        "vision_feature_layer": -1,
    }, "ForConditionalGeneration"),
    Tiny("llava-first-layer-whole", "Llava", {
        "text_config": LLAMA | {"model_type": "mistral", "sliding_window": 5}, "vision_config": VISION,
        "image_token_index": IMAGE, "vision_feature_layer": 1, "vision_feature_select_strategy": "full",
    }, "ForConditionalGeneration"),
    Tiny("llava-before-any-layer", "Llava", {
        "text_config": LLAMA | {"model_type": "gemma", "head_dim": 10}, "projector_hidden_act": "relu",
        "vision_config": VISION | {"hidden_act": "gelu"}, "image_token_index": IMAGE, "vision_feature_layer": -3,
    }, "ForConditionalGeneration"),
]  # fmt: skip

# All whose outputs these tests hold.
PICTURED = [*WITH_IMAGE, *MORE, *(t for t in TINY if t.kind in ("CLIPVision", "SiglipVision"))]


def pixels_for(tiny: Tiny, count: int = 1) -> torch.Tensor:
    side = tiny.keys["vision_config"]["image_size"]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def tokens_for(tiny: Tiny, count: int = 1) -> list[int]:
    vision = tiny.keys["vision_config"]
    places = (vision["image_size"] // vision["patch_size"]) ** 2
    places += tiny.keys.get("vision_feature_select_strategy") == "full"
    return [1, 7, *([IMAGE] * places + [3]) * count, 88, 61]


def saved_to(tiny: Tiny, directory: Path) -> Any:
    oracle = tiny.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.save_pretrained(directory)
    return oracle


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("tiny", [*WITH_IMAGE, *MORE], ids=lambda tiny: tiny.name)
def test_logits_with_images(tiny: Tiny, count: int, tmp_path: Path) -> None:
    oracle = saved_to(tiny, tmp_path)
    tokens, pixels = tokens_for(tiny, count), pixels_for(tiny, count)
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([tokens]), pixel_values=pixels).logits[0]
    result = weightscope.open(tmp_path).forward(tokens, pixel_values=pixels.numpy())
    torch.testing.assert_close(result.logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    other = weightscope.open(tmp_path).forward(tokens, pixel_values=pixels + 1)
    assert not torch.allclose(result.logits, other.logits, atol=1e-3)


@pytest.mark.parametrize("tiny", WITH_IMAGE, ids=lambda tiny: tiny.name)
def test_logits_of_text_alone(tiny: Tiny, tmp_path: Path) -> None:
    oracle = saved_to(tiny, tmp_path)
    tokens = [1, 7, 3, 88, 61, 5]
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([tokens])).logits[0]
    logits = weightscope.open(tmp_path).forward(tokens).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["clip_vision_model", "siglip_vision_model"])
def test_features_and_pooled_output(name: str, tmp_path: Path) -> None:
    tiny = next(t for t in TINY if t.name == name)
    oracle = saved_to(tiny, tmp_path)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = oracle(pixels)
    kept: dict[str, torch.Tensor] = {}
    result = weightscope.open(tmp_path).forward(pixel_values=pixels, keep=lambda name, x: kept.update({name: x}))
    assert result.output is not None
    torch.testing.assert_close(result.output, expected.last_hidden_state[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kept["vision pooled"], expected.pooler_output, rtol=1e-4, atol=1e-4)
    with pytest.raises(weightscope.WeightscopeError, match="no logits"):
        _ = result.logits


# What the features of the layer before the last do not pass through.
PARTS = (
    *(f"self_attn.{part}_proj.{leaf}" for part in ("q", "k", "v", "out") for leaf in ("weight", "bias")),
    *(f"{part}.{leaf}" for part in ("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2") for leaf in ("weight", "bias")),
)
UNSEEN = {
    *(f"vision_tower.encoder.layers.1.{part}" for part in PARTS),
    "vision_tower.post_layernorm.weight",
    "vision_tower.post_layernorm.bias",
    # A bias on keys shifts all scores of a query alike, which softmax does not see.
    "vision_tower.encoder.layers.0.self_attn.k_proj.bias",
}


def test_every_tensor_matters_but_those_listed(saved: Callable[[str], Path], tmp_path: Path) -> None:
    tiny = next(t for t in TINY if t.name == "llava")
    tensors = load_file(saved("llava") / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("llava") / "config.json").read_bytes())
    tokens, pixels = tokens_for(tiny), pixels_for(tiny)

    def logits(changed: str | None) -> torch.Tensor:
        noise = torch.Generator().manual_seed(1)
        new = {n: t + torch.rand(t.shape, generator=noise) * (n == changed) for n, t in tensors.items()}
        save_file(new, tmp_path / "model.safetensors")
        return weightscope.open(tmp_path).forward(tokens, pixel_values=pixels).logits

    before = logits(None)
    unmoved = {name for name in tensors if torch.allclose(logits(name), before, atol=1e-5)}
    assert unmoved == UNSEEN


@pytest.mark.parametrize(
    ("tokens", "shape", "said"),
    [
        ([1, IMAGE, 5], None, "no image was given"),
        ([1, 5], (1, 3, 28, 28), "0 image tokens .* need 16: 16 for each"),
        ([IMAGE] * 16, (1, 3, 35, 28), r"does not fit: the encoder takes \[3, 28, 28\]"),
        ([IMAGE] * 16, (2, 3, 28, 28), "16 image tokens .* need 32: 16 for each"),
    ],
)
def test_images_that_do_not_fit(
    tokens: list[int], shape: tuple[int, ...] | None, said: str, saved: Callable[[str], Path]
) -> None:
    pixels = None if shape is None else torch.zeros(shape)
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(saved("llava")).forward(tokens, pixel_values=pixels)


def test_a_language_model_takes_no_image(saved: Callable[[str], Path]) -> None:
    with pytest.raises(weightscope.WeightscopeError, match="does not take images"):
        weightscope.open(saved("llama")).forward([1], pixel_values=torch.zeros(1, 3, 28, 28))


def test_a_vision_encoder_takes_an_image_and_nothing_else(saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved("clip_vision_model"))
    with pytest.raises(weightscope.WeightscopeError, match="needs an image"):
        model.forward()
    with pytest.raises(weightscope.WeightscopeError, match="no tokens"):
        model.forward([1], pixel_values=torch.zeros(1, 3, 28, 28))
