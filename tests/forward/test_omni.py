"""Omni models' thinkers against transformers: text alone, images of any size; every tensor of the eye matters."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_omni import TINY_OMNI
from tests.forward import seeing
from weightscope.errors import UsageError

Run = Callable[..., tuple[int, str, str]]
every_omni = pytest.mark.parametrize("tiny", TINY_OMNI, ids=lambda tiny: tiny.name)
GRIDS = torch.tensor([[1, 4, 6], [1, 10, 8]])
PIXELS = torch.randn(int(GRIDS.prod(-1).sum()), 3 * 2 * 4 * 4, generator=torch.Generator().manual_seed(1))
IMAGES: dict[str, Any] = {"pixel_values": PIXELS, "image_grid_thw": GRIDS}
SEEN = [3, 97, *[95] * 6, 98, 7, 9, 97, *[95] * 20, 98, 11, 12]
TEXT = [1, 2, 3, 40, 50]


def lively(tiny: Tiny, directory: Path) -> Any:
    """A model with weights under which its every part shows, saved to the directory; its thinker comes back."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{tiny.kind}Config")(**tiny.keys)
    model = seeing.enlivened(getattr(transformers, f"{tiny.kind}{tiny.model}")(config).eval())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(directory)
    thinker = getattr(model, "thinker", model)
    # Fused kernels for experts want sizes that small models do not have.
    thinker.config.text_config._experts_implementation = "eager"
    return thinker


def theirs(thinker: Any, tokens: list[int], inputs: dict[str, Any]) -> torch.Tensor:
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logits: torch.Tensor = thinker(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]
    return logits


@every_omni
def test_text_and_images(tiny: Tiny, tmp_path: Path) -> None:
    thinker = lively(tiny, tmp_path)
    for tokens, inputs in ((TEXT, {}), (SEEN, IMAGES)):
        found = weightscope.open(tmp_path).forward(tokens, **inputs).logits
        assert seeing.off(torch.as_tensor(found), theirs(thinker, tokens, inputs)) < 1e-4


# Longer than two chunks, and shorter than one.
LENGTHS = (257, 23)
CLIPS = torch.randn(2, 18, 260, generator=torch.Generator().manual_seed(2))
SOUNDS: dict[str, Any] = {
    "input_features": CLIPS, "feature_attention_mask": (torch.arange(260) < torch.tensor(LENGTHS)[:, None]).long(),
}  # fmt: skip
# How many vectors each becomes.
VECTORS = {"Qwen2_5": (64, 6), "Qwen3": (34, 3)}


def heard(tiny: Tiny) -> list[int]:
    """Two clips, then the second of two images."""
    first, second = next(counts for kind, counts in VECTORS.items() if tiny.kind.startswith(kind))
    return [3, 92, *[91] * first, 93, 7, 97, *[95] * 20, 98, 9, 92, *[91] * second, 93, 11, 12]


@every_omni
def test_sounds_and_an_image(tiny: Tiny, tmp_path: Path) -> None:
    thinker = lively(tiny, tmp_path)
    image: dict[str, Any] = {"pixel_values": PIXELS[24:], "image_grid_thw": GRIDS[1:]}
    found = weightscope.open(tmp_path).forward(heard(tiny), **SOUNDS, **image).logits
    assert seeing.off(torch.as_tensor(found), theirs(thinker, heard(tiny), SOUNDS | image)) < 1e-4
    tokens = [token for token in heard(tiny) if token != 95]
    found = weightscope.open(tmp_path).forward(tokens, **SOUNDS).logits
    assert seeing.off(torch.as_tensor(found), theirs(thinker, tokens, SOUNDS)) < 1e-4


@pytest.mark.parametrize("name", ["qwen2_5_omni-silent", "qwen3_omni_moe-silent"])
def test_every_tensor_of_the_ear_matters(name: str, tmp_path: Path) -> None:
    """But the vectors around a clip, which the class stores and does not use, and what all keys share."""
    tiny = next(tiny for tiny in TINY_OMNI if tiny.name == name)
    lively(tiny, tmp_path)
    names = [name for name in load_file(tmp_path / "model.safetensors") if "audio" in name]
    tokens = [token for token in heard(tiny) if token != 95]
    unused = {name for name in names if "audio_bos_eos_token" in name or name.endswith("k_proj.bias")}
    assert seeing.unmoving(tmp_path, tokens, SOUNDS, names) == unused


@pytest.mark.parametrize("name", ["qwen2_5_omni-silent", "qwen3_omni_moe-silent"])
def test_every_tensor_of_the_eye_matters(name: str, tmp_path: Path) -> None:
    lively(next(tiny for tiny in TINY_OMNI if tiny.name == name), tmp_path)
    names = [name for name in load_file(tmp_path / "model.safetensors") if "visual" in name]
    assert not seeing.unmoving(tmp_path, SEEN, IMAGES, names)


@every_omni
def test_as_transformers_holds_it(tiny: Tiny, tmp_path: Path) -> None:
    thinker = lively(tiny, tmp_path)
    before = weightscope.open(tmp_path).forward(SEEN, **IMAGES).logits
    prefix = "" if tiny.name.endswith("thinker") else "thinker."
    (tmp_path / "model.safetensors").unlink()
    torch.save(
        {f"{prefix}{name}": value for name, value in thinker.state_dict().items()}, tmp_path / "pytorch_model.bin"
    )
    if prefix:
        config = tmp_path / "config.json"
        config.write_text(config.read_text().replace('"enable_audio_output": true', '"enable_audio_output": false'))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert torch.allclose(torch.as_tensor(model.forward(SEEN, **IMAGES).logits), torch.as_tensor(before), atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "token 91 stands for an audio clip, and no audio clip was given"),
        ({"input_features": CLIPS}, "feature_attention_mask is missing"),
        (SOUNDS | {"input_features": CLIPS[:, 1:]}, r"not \[clips, 18, frames\]"),
        (SOUNDS | {"feature_attention_mask": torch.ones(2, 259)}, "the clips need"),
        (SOUNDS | {"feature_attention_mask": torch.zeros(2, 260)}, "leaves a clip of 0 frames"),
        (SOUNDS, "audio clip tokens"),
    ],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("qwen2_5_omni")).forward([1, 92, 91, 93], **inputs)


def test_the_count_is_the_published_one(tmp_path: Path) -> None:
    """Qwen2.5-Omni-7B's sizes are its class's own; Hugging Face counts as many parameters as transformers does."""
    config = transformers.Qwen2_5OmniConfig()
    config.architectures = ["Qwen2_5OmniModel"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config.save_pretrained(tmp_path)
        with torch.device("meta"):
            oracle = transformers.Qwen2_5OmniForConditionalGeneration(config)
    assert weightscope.open(tmp_path / "config.json").parameters.total == oracle.num_parameters()


@pytest.mark.parametrize("name", ["qwen2_5_omni_thinker", "qwen3_omni_moe"])
def test_the_command_compares(name: str, run: Run, tmp_path: Path) -> None:
    lively(next(tiny for tiny in TINY_OMNI if tiny.name == name), tmp_path / "m")
    np.savez(tmp_path / "in.npz", pixel_values=PIXELS.numpy(), image_grid_thw=GRIDS.numpy())
    tokens = ",".join(map(str, SEEN))
    status, out, error = run(
        "forward", tmp_path / "m", "--tokens", tokens, "--inputs", tmp_path / "in.npz", "--compare", "transformers",
        "--format", "json",
    )  # fmt: skip
    assert (status, error) == (0, "")
    assert {item["stage"] for item in json.loads(out)["compared"]} >= {"layer 0", "layer 1", "logits"}
