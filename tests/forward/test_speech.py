"""Models of speech against transformers: logits of what the decoder is given, hidden states, classes; every tensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import weightscope
from tests.altered import altered
from tests.families.tiny import Tiny
from tests.families.tiny_speech import GENERATES, TINY_SPEECH
from tests.forward.test_encoders import lively, off
from weightscope.errors import UsageError

WRITTEN = [5, 7, 88, *range(30, 50), 2]
every_model = pytest.mark.parametrize("tiny", TINY_SPEECH, ids=lambda tiny: tiny.name)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def given(tiny: Tiny) -> dict[str, Any]:
    """A recording of one clip, and what the decoder has written."""
    if tiny.model == "ForCausalLM":
        return {}
    if tiny.kind == "Whisper":
        heard = {"input_features": noise(1, tiny.keys["num_mel_bins"], 2 * tiny.keys["max_source_positions"])}
    else:
        heard = {"input_features": noise(1, 53, 10), "attention_mask": torch.arange(53)[None] < 42}
    written = {"decoder_input_ids": torch.tensor([WRITTEN])} if tiny.model in (GENERATES, "Model") else {}
    return heard | written


def tokens(tiny: Tiny) -> list[int]:
    return WRITTEN if tiny.model == "ForCausalLM" else []


def theirs(tiny: Tiny, oracle: Any) -> torch.Tensor:
    ids = {"input_ids": torch.tensor([WRITTEN])} if tiny.model == "ForCausalLM" else {}
    with torch.no_grad():
        out = oracle(**ids, **given(tiny))
    found: torch.Tensor = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return found.reshape(-1, found.shape[-1])


@every_model
def test_outputs(tiny: Tiny, tmp_path: Path) -> None:
    oracle = lively(tiny, tmp_path)
    result = weightscope.open(tmp_path).forward(tokens(tiny), **given(tiny))
    assert result.output is not None
    assert off(result.output, theirs(tiny, oracle)) < 1e-4
    assert result.has_logits == (tiny.model in (GENERATES, "ForCausalLM"))


# The others have the same tensors.
TENSORS = ("whisper", "whisper-untied", "whisper-decoder", "whisper-classifier-of-all-layers", "speech_to_text")


@pytest.mark.parametrize("name", TENSORS)
def test_every_tensor_matters(name: str, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY_SPEECH if tiny.name == name)
    lively(tiny, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")

    model = weightscope.open(tmp_path)

    def output(changed: str | None) -> torch.Tensor:
        drawn = torch.Generator().manual_seed(1)
        new = {changed: tensors[changed] + torch.randn(tensors[changed].shape, generator=drawn)} if changed else {}
        with altered(tmp_path, new):
            found = model.forward(tokens(tiny), **given(tiny)).output
        assert found is not None
        return found

    before = output(None)
    # But for biases of keys, which move all scores of a query alike.
    unmoved = {name for name in tensors if off(output(name), before) < 1e-3 and not name.endswith("k_proj.bias")}
    # A decoder alone has nothing to look at.
    idle = {name for name in tensors if ".encoder_attn" in name} if tiny.model == "ForCausalLM" else set()
    assert unmoved == idle


@pytest.mark.parametrize("kept", [None, 1, 42, 53])
def test_frames_after_the_mask_are_left_out(kept: int | None, tmp_path: Path) -> None:
    tiny = next(tiny for tiny in TINY_SPEECH if tiny.name == "speech_to_text")
    oracle, inputs = lively(tiny, tmp_path), given(tiny)
    inputs["attention_mask"] = None if kept is None else (torch.arange(53)[None] < kept).long()
    with torch.no_grad():
        expected = oracle(**inputs).logits[0]
    ours = {name: value for name, value in inputs.items() if value is not None}
    assert off(weightscope.open(tmp_path).forward(**ours).logits, expected) < 1e-4


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "input_features is missing"),
        ({"input_features": noise(1, 10, 53)}, r"shape \[1, 10, 53\].*not \[1, frames, 10\]"),
        ({"input_features": noise(1, 0, 10)}, "no frames"),
        ({"input_features": noise(1, 53, 10), "attention_mask": torch.ones(1, 52)}, "the 53 frames need as many"),
        ({"input_features": noise(1, 53, 10), "attention_mask": torch.zeros(1, 53)}, "hides all frames"),
    ],
)
def test_frames_that_do_not_fit_are_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("speech_to_text")).forward(**inputs)


def saved_whisper(directory: Path) -> Any:
    return lively(next(tiny for tiny in TINY_SPEECH if tiny.name == "whisper"), directory)


def test_the_decoder_begins_by_itself(tmp_path: Path) -> None:
    """With the token that config.json names; what it may say next is scored."""
    oracle, features = saved_whisper(tmp_path), noise(1, 10, 34)
    result = weightscope.open(tmp_path).forward(input_features=features)
    with torch.no_grad():
        expected = oracle(input_features=features, decoder_input_ids=torch.tensor([[5]])).logits[0]
    assert off(result.logits, expected) < 1e-4
    assert (result.tokens, result.scored) == ((), (5,))


@pytest.mark.parametrize(
    ("tokens", "inputs", "said"),
    [
        ([], {}, "input_features is missing"),
        ([1], {"input_features": noise(1, 10, 34)}, "takes no tokens"),
        ([], {"input_features": noise(1, 10, 33)}, r"shape \[1, 10, 33\].*not \[clips, 10, 34\]"),
        ([], {"input_features": noise(10, 34)}, r"shape \[10, 34\]"),
        ([], {"input_features": noise(2, 10, 34)}, "one clip"),
        ([], {"input_features": torch.ones(1, 10, 34, dtype=torch.long)}, "floats"),
        ([], {"input_features": noise(1, 10, 34) * float("nan")}, "NaN"),
        ([], {"input_features": noise(1, 10, 34), "decoder_input_ids": [101]}, "outside the vocabulary"),
        ([], {"input_features": noise(1, 10, 34), "decoder_input_ids": [3] * 38}, "exceed the 37 learned positions"),
        ([], {"input_features": noise(1, 10, 34), "pixel_values": noise(3)}, "does not take images"),
    ],
)
def test_what_does_not_fit_is_said(tokens: list[int], inputs: dict[str, Any], said: str, tmp_path: Path) -> None:
    saved_whisper(tmp_path)
    with pytest.raises(UsageError, match=said):
        weightscope.open(tmp_path).forward(tokens, **inputs)


def test_at_the_command_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """The next token of what the decoder is said to have written, transformers beside it; a golden file of both."""
    directory, features, file = tmp_path / "model", noise(1, 10, 34), tmp_path / "speech.npz"
    oracle = saved_whisper(directory)
    np.savez(file, input_features=features.numpy())
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(101)}, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    options = ("--inputs", file, "--decoder-prompt", "w7 w9")
    status, out, error = run("forward", directory, *options, "--compare", "transformers", "--format", "json")
    assert (status, error) == (0, "")
    shown = json.loads(out)
    with torch.no_grad():
        expected = oracle(input_features=features, decoder_input_ids=torch.tensor([[5, 7, 9]])).logits[0]
    assert [row[0]["token_id"] for row in shown["top"]] == expected.argmax(-1).tolist()
    assert [row[0]["text"] for row in shown["top"]] == [f" w{number}" for number in expected.argmax(-1)]
    assert {"layer 0", "layer 1", "logits"} <= {item["stage"] for item in shown["compared"]}
    golden = tmp_path / "golden.json"
    assert run("forward", directory, *options, "--record", golden)[0] == 0
    assert run("forward", directory, *options, "--expect", golden)[0] == 0
    # The golden file has what the decoder had written.
    assert run("forward", directory, "--inputs", file, "--expect", golden)[0] == 0
    np.savez(tmp_path / "other.npz", input_features=features.numpy() + 1)
    assert run("forward", directory, "--inputs", tmp_path / "other.npz", "--expect", golden)[0] == 1
    status, _, error = run("forward", directory, "--expect", golden)
    assert (status, "give --inputs speech.npz" in error) == (2, True)
    status, _, error = run("forward", directory, "--tokens", "1,2", "--inputs", file)
    assert (status, "takes no tokens" in error) == (2, True)
    status, out, _ = run("forward", directory, "--inputs", file)
    assert status == 0
    assert "Next token" in out
    assert "0 tokens" not in out
