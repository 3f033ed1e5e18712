"""Gemma 4 and its 12B with clips of audio, images beside them, and text alone; every tensor of the ear matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weightscope
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_gemma_eyes import AUDIO, GEMMA4, IDS, PATCHES, TOWER, UNIFIED, WHOLE
from tests.forward import seeing, test_gemma4_eyes
from weightscope.errors import NotImplementedByWeightscope, UsageError

HEARD, BEGIN, END = 97, 93, 94
AROUND = {"boa_token_id": BEGIN, "eoa_token_index": END}
FRAMES = (50, 33)
# Of 50 frames 25 and then 13 are left, of 33 17 and 9.
TEXT = [1, 2, 3, 40, 50, 9, 8, 7]
SPOKEN = [3, BEGIN, *[HEARD] * 13, END, 7, 9, BEGIN, *[HEARD] * 9, END, 11, 12]
NARROW = {
    "attention_chunk_size": 4, "attention_context_left": 4, "attention_context_right": 3, "residual_weight": 0.7,
    "attention_logit_cap": 2.0, "hidden_act": "relu", "conv_kernel_size": 3, "gradient_clipping": 1.5,
}  # fmt: skip


def tiny(**audio: Any) -> Tiny:
    keys = {"text_config": GEMMA4, "vision_config": TOWER, "audio_config": AUDIO | audio}
    return Tiny("gemma4", "Gemma4", IDS | AROUND | keys, WHOLE)


BARE = Tiny("gemma4_unified", "Gemma4Unified", IDS | AROUND | {
    "text_config": UNIFIED, "vision_config": PATCHES, "audio_config": {"audio_embed_dim": 11},
}, WHOLE)  # fmt: skip
# Frames of samples become a vector each.
BARELY = [3, BEGIN, *[HEARD] * 50, END, 7, 9, BEGIN, *[HEARD] * 33, END, 11, 12]
HEARING = [
    tiny(),
    tiny(use_clipped_linears=False),
    tiny(**NARROW),
    tiny(**NARROW | {"attention_chunk_size": 1}),
    tiny(**NARROW | {"attention_chunk_size": 9, "attention_context_left": 2, "attention_context_right": 0}),
]


def clips() -> dict[str, torch.Tensor]:
    """Two, the shorter one filled up."""
    features = torch.randn(2, 50, 11, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(50) < torch.tensor(FRAMES)[:, None]
    return {"input_features": features * mask[..., None], "input_features_mask": mask}


def theirs(directory: Path, ids: list[int], inputs: dict[str, Any]) -> torch.Tensor:
    return seeing.theirs(directory, ids, {"mm_token_type_ids": (torch.tensor([ids]) == 95).int()} | inputs)


@pytest.mark.parametrize("number", range(len(HEARING)))
def test_clips_and_text_alone(number: int, tmp_path: Path) -> None:
    directory = test_gemma4_eyes.made(HEARING[number], tmp_path)
    found = seeing.ours(directory, SPOKEN, clips())
    assert seeing.off(found, theirs(directory, SPOKEN, clips())) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT), theirs(directory, TEXT, {})) < 1e-4
    other = clips() | {"input_features": clips()["input_features"].flip(2)}
    assert seeing.off(seeing.ours(directory, SPOKEN, other), found) > 1e-2


def test_frames_that_see_nothing_stop_the_pass_alone(tmp_path: Path) -> None:
    directory = test_gemma4_eyes.made(tiny(attention_context_left=1), tmp_path)
    model = weightscope.open(directory)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with pytest.raises(NotImplementedByWeightscope, match="frames that do not see themselves"):
        model.forward(SPOKEN, **clips())  # type: ignore[arg-type]


def test_frames_of_samples(tmp_path: Path) -> None:
    directory = test_gemma4_eyes.made(BARE, tmp_path)
    found = seeing.ours(directory, BARELY, clips())
    assert seeing.off(found, theirs(directory, BARELY, clips())) < 1e-4
    names = [name for name in load_file(directory / "model.safetensors") if "audio" in name]
    assert names == ["model.embed_audio.embedding_projection.weight"]
    assert not seeing.unmoving(directory, BARELY, clips(), names)
    wrong = clips() | {"input_features": torch.zeros(2, 50, 12)}
    with pytest.raises(UsageError, match="frames of 11 samples are taken"):
        weightscope.open(directory).forward(BARELY, **wrong)  # type: ignore[arg-type]


def test_clips_beside_images(tmp_path: Path) -> None:
    eyes = next(tiny for tiny in TINY if tiny.name == "gemma4")
    directory = test_gemma4_eyes.made(tiny(), tmp_path)
    ids = [*SPOKEN, *test_gemma4_eyes.tokens(eyes)]
    inputs: dict[str, Any] = clips() | test_gemma4_eyes.inputs(eyes)
    assert seeing.off(seeing.ours(directory, ids, inputs), theirs(directory, ids, inputs)) < 1e-4


def test_every_tensor_of_the_ear_and_the_bridge_moves_the_logits(tmp_path: Path) -> None:
    directory = test_gemma4_eyes.made(tiny(), tmp_path)
    names = [
        name
        for name in load_file(directory / "model.safetensors")
        if "audio" in name and not name.endswith(("_min", "_max"))
    ]
    assert len(names) > 40
    assert not seeing.unmoving(directory, SPOKEN, clips(), names)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_features_mask": None}, "input_features_mask is missing"),
        ({"input_features": torch.zeros(2, 50, 16)}, "the convolutions leave 4 of 16 bins, and 3 are taken"),
        ({"input_features_mask": torch.ones(2, 49)}, "the clips need [2, 50]"),
        ({"input_features_mask": torch.zeros(2, 50)}, "hides frames before others"),
        ({"input_features_mask": torch.arange(50).expand(2, 50) != 7}, "hides frames before others"),
        ({"input_features_mask": torch.ones(2, 50)}, "22 audio clip tokens (id 97), but the audio clips need 26"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    given = {name: value for name, value in (clips() | change).items() if value is not None}
    with pytest.raises(UsageError) as caught:
        weightscope.open(saved("gemma4")).forward(SPOKEN, **given)
    assert said in str(caught.value)


def test_at_the_command_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A clip and an image are written out each with what stands around it, as the processor does."""
    eyes = next(tiny for tiny in TINY if tiny.name == "gemma4")
    directory = test_gemma4_eyes.made(tiny(), tmp_path)
    inputs: dict[str, Any] = clips() | test_gemma4_eyes.inputs(eyes)
    np.savez(tmp_path / "both.npz", **{name: value.numpy() for name, value in inputs.items()})
    options = ("--inputs", tmp_path / "both.npz", "--tokens", "3,97,7,9,97,11,12,95,7,95,2")
    status, out, error = run("forward", directory, *options, "--compare", "transformers", "--format", "json")
    assert (status, error) == (0, "")
    written = [3, BEGIN, *[HEARD] * 13, END, 7, 9, BEGIN, *[HEARD] * 9, END, 11, 12, 98, 95, 95, 99, 7, 98, *[95] * 6]
    assert json.loads(out)["token_ids"] == [*written, 99, 2]
