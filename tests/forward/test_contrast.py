"""CLIP and SigLIP whole: scores of a text and several images, and their text encoders, by transformers' own models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_contrast import TINY_CONTRAST
from tests.forward.test_patched_image import photograph
from weightscope.errors import NotImplementedByWeightscope, UsageError

Run = Callable[..., tuple[int, str, str]]
COMPUTED = TINY_CONTRAST
TOKENS = [1, 7, 43, 99, 5, 88, 0]


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 28, 28, generator=torch.Generator().manual_seed(3))


def named(name: str) -> Tiny:
    return next(tiny for tiny in TINY if tiny.name == name)


def score(directory: Path, images: torch.Tensor) -> torch.Tensor:
    output = weightscope.open(directory).forward(TOKENS, pixel_values=images).output
    assert output is not None
    return output


@pytest.mark.parametrize("name", ["clip", "clip-old-end", "siglip", "siglip-same-width"])
def test_a_text_and_two_images(name: str, saved: Callable[[str], Path]) -> None:
    oracle, images, kept = named(name).build(), pixels(), dict[str, torch.Tensor]()
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([TOKENS]), pixel_values=images)
    result = weightscope.open(saved(name)).forward(TOKENS, pixel_values=images, keep=kept.__setitem__)
    assert result.output is not None
    torch.testing.assert_close(result.output, expected.logits_per_text, rtol=1e-4, atol=1e-4)
    text = kept["text vector"] / kept["text vector"].norm()
    torch.testing.assert_close(text, expected.text_embeds, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["clip_text_model", "siglip_text_model"])
def test_the_text_encoder_alone(name: str, saved: Callable[[str], Path]) -> None:
    with torch.no_grad():
        expected = named(name).build()(torch.tensor([TOKENS])).last_hidden_state[0]
    output = weightscope.open(saved(name)).forward(TOKENS).output
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


def test_the_vector_of_a_text(saved: Callable[[str], Path]) -> None:
    with torch.no_grad():
        expected = named("clip_text_model-projected").build()(torch.tensor([TOKENS])).text_embeds
    output = weightscope.open(saved("clip_text_model-projected")).forward(TOKENS).output
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "given"),
    [("clip_vision_model-projected", "image_embeds"), ("clip-classes", "logits"), ("siglip-classes", "logits")],
)
def test_the_vision_encoder_under_a_head(name: str, given: str, saved: Callable[[str], Path]) -> None:
    image = pixels(1)
    with torch.no_grad():
        expected = getattr(named(name).build()(pixel_values=image), given)
    model = weightscope.open(saved(name))
    output = model.forward(pixel_values=image).output
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="needs an image"):
        model.forward()


@pytest.mark.parametrize("name", ["clip_text_model-projected", "clip_vision_model-projected", "clip-classes"])
def test_every_tensor_of_a_half_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors = load_file(saved(name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    generator, still = torch.Generator().manual_seed(1), set()

    def made(directory: Path) -> torch.Tensor:
        text, given = ([], {"pixel_values": pixels(1)}) if "text" not in name else (TOKENS, {})
        output = weightscope.open(directory).forward(text, **given).output  # type: ignore[arg-type]
        assert output is not None
        return output

    before = made(saved(name))
    for changed, tensor in tensors.items():
        other = tensor + torch.randn(tensor.shape, generator=generator)
        save_file(tensors | {changed: other}, tmp_path / "model.safetensors")
        if torch.allclose(made(tmp_path), before, atol=1e-4):
            still.add(changed)
    # The classifier acts on what leaves the last layer, before the norm of the class vector.
    unused = ("k_proj.bias", "post_layernorm.weight", "post_layernorm.bias") if "classes" in name else ("k_proj.bias",)
    assert {name for name in still if not name.endswith(unused)} == set()


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_every_tensor_matters(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors, images = load_file(saved(name) / "model.safetensors"), pixels()
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    before, still = score(saved(name), images), set()
    generator = torch.Generator().manual_seed(1)
    for changed, tensor in tensors.items():
        other = tensor + torch.randn(tensor.shape, generator=generator)
        save_file(tensors | {changed: other}, tmp_path / "model.safetensors")
        if torch.allclose(score(tmp_path, images), before, atol=1e-4):
            still.add(changed)
    # A bias of the keys adds the same to all scores of a query.
    assert {name for name in still if not name.endswith("k_proj.bias")} == set()


@pytest.mark.parametrize(
    ("tokens", "given", "said"),
    [
        (TOKENS, {}, "compares a text with images, and no image was given"),
        ([1, 7, 5], {"pixel_values": pixels()}, "token 99 is missing, whose vector stands for the text"),
        (TOKENS, {"pixel_values": pixels()[:, :, :21]}, "the encoder takes [3, 28, 28]"),
        ([], {"pixel_values": pixels()}, "no tokens to run on"),
        (TOKENS * 5, {"pixel_values": pixels()}, "35 tokens exceed the 31 learned positions"),
    ],
)
def test_what_does_not_fit_is_said(
    tokens: list[int], given: dict[str, Any], said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("clip")).forward(tokens, **given)
    assert said in str(caught.value)


def test_siglip_without_its_pooling_head_is_refused(tmp_path: Path) -> None:
    keys = named("siglip").keys
    tiny = Tiny("headless", "Siglip", keys | {"vision_config": keys["vision_config"] | {"vision_use_head": False}},
                "Model")  # fmt: skip
    tiny.build().save_pretrained(tmp_path)
    assert [f.code for f in weightscope.open(tmp_path).check() if f.severity != "info"] == []
    with pytest.raises(NotImplementedByWeightscope, match="vision_use_head"):
        weightscope.open(tmp_path).forward(TOKENS, pixel_values=pixels())


def test_vectors_of_different_sizes_are_said(saved: Callable[[str], Path], tmp_path: Path) -> None:
    config = json.loads((saved("siglip") / "config.json").read_text())
    config["text_config"]["projection_size"] = 21
    (tmp_path / "config.json").write_text(json.dumps(config))
    (finding,) = (f for f in weightscope.open(tmp_path / "config.json").check() if f.severity == "error")
    assert "a text's vector has 21 elements (text_config.projection_size), but an image's has 20" in finding.message


def test_images_at_the_command_line(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "m"
    named("clip").build().save_pretrained(directory)
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    (directory / "preprocessor_config.json").write_text(json.dumps(size))
    images = [photograph(tmp_path / "a.png", (50, 30)), photograph(tmp_path / "b.png", (24, 40))]
    options = ("--image", images[0], "--image", images[1], "--tokens", "1,7,99", "--format", "json")
    status, out, error = run("forward", directory, *options)
    assert (status, error) == (0, "")
    last = json.loads(out)["stages"][-1]
    assert (last["stage"], last["shape"]) == ("similarity", [1, 1, 2])


def test_early_configs_have_each_part_twice(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """The second is taken, with its class's defaults for what it leaves out."""
    config = json.loads((saved("clip") / "config.json").read_text())
    config["text_config_dict"] = {"hidden_size": 32, "num_hidden_layers": 2}
    config["vision_config_dict"] = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        oracle = transformers.CLIPModel(transformers.CLIPConfig.from_pretrained(tmp_path))
    assert weightscope.open(tmp_path / "config.json").parameters.total == oracle.num_parameters()
