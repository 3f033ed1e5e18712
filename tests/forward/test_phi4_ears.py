"""Phi-4-multimodal with clips of audio against transformers: alone, beside images, and that every tensor matters."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Phi4MultimodalFeatureExtractor

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_phi4 import TINY_PHI4
from tests.forward import seeing, test_phi4_eyes
from weightscope.errors import NotImplementedByWeightscope, UsageError

Run = Callable[..., tuple[int, str, str]]
HEARD, BINS = 96, 20
every_phi4 = pytest.mark.parametrize("tiny", TINY_PHI4, ids=lambda tiny: tiny.name)


def lively(tiny: Tiny, target: Path) -> Any:
    """Weights under which every part shows, and a mean and a scale for each bin that are not 0 and 1."""
    model = seeing.enlivened(tiny.build())
    ear = model.model.embed_tokens_extend.audio_embed
    ear.down_proj_for_speech.weight.data *= 3
    for layer in ear.encoder.encoders:
        layer.self_attn.q_proj.weight.data *= 3
        layer.self_attn.k_proj.weight.data *= 2
    statistics = ear.encoder.encoder_embedding
    generator = torch.Generator().manual_seed(6)
    statistics.global_mean.copy_(torch.randn(BINS, generator=generator) + 8)
    statistics.global_invstd.copy_(torch.rand(BINS, generator=generator) + 0.5)
    model.save_pretrained(target)
    model.set_attn_implementation("eager")
    return model.eval()


def clips(tiny: Tiny, *seconds: float) -> dict[str, Any]:
    """What the model's own processor makes of sirens of those lengths."""
    rate = tiny.keys["audio_config"].get("time_reduction", 8)
    extractor = Phi4MultimodalFeatureExtractor(feature_size=BINS, audio_compression_rate=rate)
    sound = [siren(int(16000 * length), number) for number, length in enumerate(seconds)]
    return dict(extractor(sound, sampling_rate=16000, return_tensors="pt"))


def siren(samples: int, number: int) -> Any:
    """A tone that rises and falls in height and loudness, over a little noise."""
    time = np.arange(samples) / 16000
    noise = np.random.default_rng(number).normal(size=samples) * 0.01
    return np.sin(2 * np.pi * (900 * time + 90 * np.sin(9 * time))) * np.sin(5 * time + number) ** 2 + noise


def spoken(inputs: dict[str, Any]) -> list[int]:
    """Tokens with as many marks as each clip has vectors."""
    ids = [5]
    for count in inputs["audio_embed_sizes"]:
        ids += [*[HEARD] * int(count), 8, 9]
    return ids + test_phi4_eyes.TEXT


@every_phi4
def test_clips_of_two_lengths_and_one_alone(tiny: Tiny, tmp_path: Path) -> None:
    """Frames that fill up the shorter clip are seen by the others, as in transformers."""
    model = lively(tiny, tmp_path)
    for lengths in ((0.8, 0.55), (0.613,)):
        inputs = clips(tiny, *lengths)
        assert ("audio_attention_mask" in inputs) is (len(lengths) > 1)
        ids = spoken(inputs)
        expected = test_phi4_eyes.theirs(model, ids, inputs)
        assert seeing.off(seeing.ours(tmp_path, ids, inputs), expected) < 1e-4
        other = inputs | {"audio_input_features": inputs["audio_input_features"].flip(2)}
        assert seeing.off(seeing.ours(tmp_path, ids, other), expected) > 1e-2


@every_phi4
def test_a_clip_beside_images(tiny: Tiny, tmp_path: Path) -> None:
    """Then the other two matrices bring it to the language model."""
    model = lively(tiny, tmp_path)
    heard = clips(tiny, 0.7)
    ids = [*test_phi4_eyes.tokens(tiny), *spoken(heard)]
    inputs = test_phi4_eyes.images(tiny) | heard
    expected = test_phi4_eyes.theirs(model, ids, inputs)
    assert seeing.off(seeing.ours(tmp_path, ids, inputs), expected) < 1e-4


@pytest.mark.parametrize("masked", [False, True])
def test_a_clip_of_several_pieces(masked: bool, tmp_path: Path) -> None:
    """More than 500 frames: pieces that do not see each other, the last filled up with zeros."""
    tiny = TINY_PHI4[0]
    model, inputs = lively(tiny, tmp_path), clips(tiny, 43.5)
    assert int(inputs["audio_embed_sizes"][0]) > 500
    if masked:
        inputs["audio_attention_mask"] = torch.ones(inputs["audio_input_features"].shape[:2])
        inputs["audio_attention_mask"][:, -90:] = 0
    ids = spoken(inputs)
    assert seeing.off(seeing.ours(tmp_path, ids, inputs), test_phi4_eyes.theirs(model, ids, inputs)) < 1e-4


def test_several_clips_of_which_one_is_long(saved: Callable[[str], Path]) -> None:
    """transformers fails on them as well: it merges dimensions that do not lie one after another."""
    inputs = clips(TINY_PHI4[0], 41, 2)
    with pytest.raises(NotImplementedByWeightscope, match="several clips"):
        seeing.ours(saved("phi4_multimodal"), spoken(inputs), inputs)


def changed(keys: dict[str, Any]) -> Tiny:
    """The first tiny model with other settings of its ear."""
    tiny = TINY_PHI4[0]
    return dataclasses.replace(tiny, keys=tiny.keys | {"audio_config": tiny.keys["audio_config"] | keys})


@pytest.mark.parametrize("keys", [{"bias_symmetric": True, "bias_max_distance": 20}, {"kernel_size": 1}])
def test_settings_that_change_shapes(keys: dict[str, Any], tmp_path: Path) -> None:
    model, inputs = lively(changed(keys), tmp_path), clips(TINY_PHI4[0], 0.8, 0.55)
    ids = spoken(inputs)
    assert seeing.off(seeing.ours(tmp_path, ids, inputs), test_phi4_eyes.theirs(model, ids, inputs)) < 1e-4


@pytest.mark.parametrize(
    "keys",
    [
        {"chunk_size": 3, "left_chunk": 1},
        {"activation": "gelu"},
        {"conv_activation": "relu"},
        {"conv_glu_type": "sigmoid"},
        {"nemo_activation": "silu"},
    ],
)
def test_settings_that_change_values(keys: dict[str, Any], tmp_path: Path) -> None:
    """Of one seed, both models have the same weights."""
    usual, inputs = lively(TINY_PHI4[0], tmp_path), clips(TINY_PHI4[0], 0.8, 0.55)
    ids = spoken(inputs)
    model = lively(changed(keys), tmp_path)
    found = seeing.ours(tmp_path, ids, inputs)
    assert seeing.off(found, test_phi4_eyes.theirs(model, ids, inputs)) < 1e-4
    assert seeing.off(found, test_phi4_eyes.theirs(usual, ids, inputs)) > 1e-2


@every_phi4
def test_every_tensor_of_the_ear_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But what all keys share, and the two matrices of the other way of use."""
    lively(tiny, tmp_path)
    inputs = clips(tiny, 0.8, 0.55)
    names = [name for name in load_file(tmp_path / "model.safetensors") if ".audio_embed." in name]
    still = seeing.unmoving(tmp_path, spoken(inputs), inputs, names, least=5e-4)
    assert still == {name for name in names if "k_proj.bias" in name or "for_vision_speech" in name}


def test_at_the_command_line(run: Run, tmp_path: Path) -> None:
    """A clip's token is written out as often as it has vectors; transformers beside it."""
    tiny = TINY_PHI4[0]
    lively(tiny, tmp_path / "model")
    inputs = clips(tiny, 0.4, 0.3)
    np.savez(tmp_path / "clips.npz", **{name: value.numpy() for name, value in inputs.items()})
    options = ("--inputs", tmp_path / "clips.npz", "--tokens", "5,96,8,96,3", "--compare", "transformers")
    status, out, error = run("forward", tmp_path / "model", *options, "--format", "json")
    assert (status, error) == (0, "")
    shown = json.loads(out)
    first, second = map(int, inputs["audio_embed_sizes"])
    assert shown["token_ids"] == [5, *[HEARD] * first, 8, *[HEARD] * second, 3]
    assert shown["compared"][-1]["stage"] == "logits"
    stages = [stage["stage"] for stage in shown["stages"]]
    assert [name for name in stages if name.startswith("audio")][:2] == ["audio embeddings", "audio layer 0 first mlp"]


def test_the_parts_are_told_apart(saved: Callable[[str], Path]) -> None:
    shape = weightscope.open(saved("phi4_multimodal")).summary().model.shape
    assert shape is not None
    assert shape.endswith("audio 2 layers of 12")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"audio_embed_sizes": None}, "audio_embed_sizes is missing"),
        ({"audio_embed_sizes": torch.tensor([1])}, "each of 2 clips has 1 to"),
        ({"audio_embed_sizes": torch.tensor([1, 900])}, "each of 2 clips has 1 to"),
        ({"audio_embed_sizes": torch.tensor([1.0, 2.0])}, "not whole numbers"),
        ({"audio_embed_sizes": torch.tensor([1, 2])}, "but the audio clips need 3"),
        ({"audio_input_features": torch.zeros(2, 30, 21)}, "not .clips, frames, 20. .floats"),
        ({"audio_input_features": torch.zeros(2, 0, 20)}, "not .clips, frames, 20. .floats"),
        ({"audio_attention_mask": torch.ones(2, 3)}, "and the clips need"),
        ({"audio_attention_mask": torch.full((2, 78), 2)}, "of 0 and 1"),
    ],
)
def test_inputs_that_do_not_fit(change: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    inputs = clips(TINY_PHI4[0], 0.8, 0.55)
    given = {name: value for name, value in (inputs | change).items() if value is not None}
    with pytest.raises(UsageError, match=said):
        seeing.ours(saved("phi4_multimodal"), spoken(inputs), given)


def test_a_reduction_that_no_halvings_make_stops_the_pass_alone(tmp_path: Path) -> None:
    """transformers builds such a model and fails when it hears."""
    lively(changed({"time_reduction": 6}), tmp_path)
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    inputs = clips(TINY_PHI4[1], 0.4)
    with pytest.raises(NotImplementedByWeightscope, match="time_reduction of 6"):
        model.forward(spoken(inputs), **inputs)
