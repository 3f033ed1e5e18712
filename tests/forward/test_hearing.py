"""Language models that hear against transformers: logits with clips and without, every tensor, tokens of a prompt."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_speech import TINY_HEARING
from tests.forward import seeing
from tests.forward.test_encoders import lively
from weightscope.errors import UsageError

AUDIO = 99
# Frames of two clips: one with an odd number after the first convolutions, and a whole one.
KEPT = (25, 34)
HEADED = [tiny for tiny in TINY_HEARING if tiny.model != "Model"]
every_model = pytest.mark.parametrize("tiny", HEADED, ids=lambda tiny: tiny.name)


def clips(tiny: Tiny, count: int = 2) -> dict[str, Any]:
    """What the model's processor makes of so many clips."""
    audio = tiny.keys["audio_config"]
    noise = torch.Generator().manual_seed(3)
    frames = 2 * audio["max_source_positions"]
    features = {"input_features": torch.randn(count, audio["num_mel_bins"], frames, generator=noise)}
    if tiny.kind == "Voxtral":
        return features
    mask = torch.zeros(count, frames, dtype=torch.long)
    for row, kept in zip(mask, KEPT[:count], strict=True):
        row[:kept] = 1
    return features | {"feature_attention_mask": mask}


def vectors(tiny: Tiny) -> tuple[int, int]:
    """Of each clip: for Qwen2-Audio as its processor counts them, for Voxtral a quarter of the frames."""
    if tiny.kind == "Voxtral":
        return (4, 4)
    first, second = ((((kept - 1) // 2 + 1) - 2) // 2 + 1 for kept in KEPT)
    return first, second


def spoken(tiny: Tiny) -> list[int]:
    first, second = vectors(tiny)
    return [1, *[AUDIO] * first, 44, 7, *[AUDIO] * second, 3, 5, 60]


def theirs(oracle: Any, tokens: Sequence[int], inputs: dict[str, Any]) -> torch.Tensor:
    ids = torch.tensor([list(tokens)])
    with torch.no_grad():
        logits: torch.Tensor = oracle(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]
    return logits


@every_model
def test_logits(tiny: Tiny, tmp_path: Path) -> None:
    oracle, inputs = lively(tiny, tmp_path), clips(tiny)
    tokens = spoken(tiny)
    assert seeing.off(seeing.ours(tmp_path, tokens, inputs), theirs(oracle, tokens, inputs)) < 1e-4
    text = [1, 44, 7, 3, 5, 60]
    assert seeing.off(seeing.ours(tmp_path, text), theirs(oracle, text, {})) < 1e-4


@every_model
def test_as_transformers_holds_it_in_memory(tiny: Tiny, tmp_path: Path) -> None:
    oracle, inputs = lively(tiny, tmp_path), clips(tiny)
    before = seeing.ours(tmp_path, spoken(tiny), inputs)
    save_file({n: t.contiguous() for n, t in oracle.state_dict().items()}, tmp_path / "model.safetensors")
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == oracle.num_parameters()
    assert torch.equal(seeing.ours(tmp_path, spoken(tiny), inputs), before)


def test_inspect_has_the_tower(saved: Callable[[str], Path]) -> None:
    shape = weightscope.open(saved("voxtral")).summary().model.shape
    assert shape is not None
    assert shape.endswith(" · audio 2 layers of 20, clips of 32 frames of 10")


@pytest.mark.parametrize("name", ["qwen2_audio", "voxtral"])
def test_every_tensor_matters(name: str, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY_HEARING if tiny.name == name)
    lively(tiny, tmp_path)
    names = [n for n in load_file(tmp_path / "model.safetensors") if not n.startswith("language_model")]
    assert len(names) > 30
    assert seeing.unmoving(tmp_path, spoken(tiny), clips(tiny), names) == set()


QWEN, VOXTRAL = (next(tiny for tiny in TINY_HEARING if tiny.name == name) for name in ("qwen2_audio", "voxtral"))
BOTH = clips(QWEN)


@pytest.mark.parametrize(
    ("tiny", "tokens", "inputs", "said"),
    [
        (QWEN, [1, AUDIO], {}, "stands for an audio clip, and no audio clip was given"),
        (QWEN, [1, AUDIO], BOTH, "1 audio clip tokens .* but the audio clips need 14"),
        (QWEN, [1], {"input_features": BOTH["input_features"]}, "feature_attention_mask is missing"),
        (QWEN, [1], BOTH | {"feature_attention_mask": torch.ones(1, 34)}, "the clips need"),
        (QWEN, [1], BOTH | {"feature_attention_mask": torch.full((2, 34), 2)}, "of 0 and 1"),
        (QWEN, [1], BOTH | {"feature_attention_mask": torch.zeros(2, 34)}, "a clip of 0 frames"),
        (QWEN, [1], BOTH | {"input_features": torch.ones(2, 10, 33)}, "not .clips, 10, 34"),
        (QWEN, [1], {"pixel_values": torch.ones(3)}, "does not take images"),
        (VOXTRAL, [1], BOTH, "does not take feature_attention_mask"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    tiny: Tiny, tokens: list[int], inputs: dict[str, Any], said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved(tiny.name)).forward(tokens, **inputs)


def test_clips_that_no_vectors_come_of(tmp_path: Path) -> None:
    """16 frames of 20 numbers are no multiple of 75."""
    uneven = VOXTRAL.keys["audio_config"] | {"intermediate_size": 75}
    lively(dataclasses.replace(VOXTRAL, keys=VOXTRAL.keys | {"audio_config": uneven}), tmp_path)
    with pytest.raises(UsageError, match="320 numbers after the tower, and a vector takes 75"):
        weightscope.open(tmp_path).forward([1, AUDIO], **clips(VOXTRAL))


@pytest.mark.parametrize("tiny", [QWEN, VOXTRAL], ids=lambda tiny: tiny.name)
def test_at_the_command_line(tiny: Tiny, run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A clip's token is written out as often as it has vectors; transformers beside it; a golden file."""
    directory, inputs, file = tmp_path / "model", clips(tiny), tmp_path / "audio.npz"
    oracle = lively(tiny, directory)
    np.savez(file, **{name: value.numpy() for name, value in inputs.items()})
    words = {f"w{number}": number for number in range(101) if number != AUDIO} | {"AUDIO": AUDIO}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["AUDIO"])
    tokenizer.save(str(directory / "tokenizer.json"))
    status, out, error = run(
        "forward", directory, "--inputs", file, "--prompt", "w1 AUDIO w44 w7 AUDIO w3 w5 w60", "--format", "json"
    )
    # A random model reads no text.
    assert (status, error) == (1, "")
    assert json.loads(out)["token_ids"] == spoken(tiny)
    options = ("--inputs", file, "--tokens", "1,99,44,7,99,3,5,60")
    status, out, error = run("forward", directory, *options, "--compare", "transformers", "--format", "json")
    assert (status, error) == (0, "")
    shown = json.loads(out)
    assert shown["token_ids"] == spoken(tiny)
    expected = theirs(oracle, spoken(tiny), inputs)
    assert [row[0]["token_id"] for row in shown["top"]] == expected.argmax(-1).tolist()
    assert {"embedding", "layer 0", "layer 2", "logits"} <= {item["stage"] for item in shown["compared"]}
    # All that the processor makes of a text and its clips.
    ids = np.array([spoken(tiny)])
    whole = {name: value.numpy() for name, value in inputs.items()} | {"input_ids": ids}
    np.savez(tmp_path / "whole.npz", attention_mask=np.ones_like(ids), **whole)
    status, again, error = run("forward", directory, "--inputs", tmp_path / "whole.npz", "--format", "json")
    assert (status, error) == (0, "")
    assert json.loads(again)["top"] == shown["top"]
    status, _, error = run("forward", directory, "--inputs", tmp_path / "whole.npz", "--tokens", "1")
    assert (status, "has input_ids: give no --tokens and no --prompt beside it" in error) == (2, True)
    np.savez(tmp_path / "whole.npz", attention_mask=np.arange(ids.size), **whole)
    status, _, error = run("forward", directory, "--inputs", tmp_path / "whole.npz")
    assert (status, "attention_mask hides tokens" in error) == (2, True)
    golden = tmp_path / "golden.json"
    assert run("forward", directory, *options, "--record", golden)[0] == 0
    assert run("forward", directory, "--inputs", file, "--expect", golden)[0] == 0
    status, _, error = run("forward", directory, "--inputs", file, "--prompt", "AUDIO")
    assert (status, "1 audio clip tokens (id 99), but 2 audio clips take 2 or" in error) == (2, True)
