"""CLAP against transformers: the score of a text and a sound, and that every tensor matters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.families.tiny import Tiny
from tests.families.tiny_clap import HALVES, TINY_CLAP
from tests.forward import seeing
from weightscope.errors import UsageError

every_clap = pytest.mark.parametrize("tiny", TINY_CLAP, ids=lambda tiny: tiny.name)
TOKENS = [0, 7, 43, 99, 5, 88, 2]
# Shorter than a picture, so that it is stretched.
SOUND = torch.randn(1, 4, 101, 8, generator=torch.Generator().manual_seed(3))


def inputs_of(tiny: Tiny, *, longer: bool = True) -> dict[str, Any]:
    """What the processor makes: the whole and three close-ups of a longer clip, where the model joins them."""
    fused = tiny.keys["audio_config"].get("enable_fusion")
    return {"input_features": SOUND if fused else SOUND[:, :1], "is_longer": torch.tensor([[longer]])}


def lively(tiny: Tiny, directory: Path) -> Any:
    """A model with weights under which its every part shows, saved to the directory."""
    torch.manual_seed(0)
    model = seeing.enlivened(transformers.ClapModel(transformers.ClapConfig(**tiny.keys)).eval())
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(directory)
    return model


def ours(directory: Path, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    return stages_of(weightscope.open(directory), inputs)


def stages_of(model: weightscope.Model, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    kept: dict[str, torch.Tensor] = {}
    result = model.forward(TOKENS, keep=lambda name, x: kept.update({name: x}), **inputs)
    assert result.output is not None
    return kept | {"output": result.output}


@every_clap
@pytest.mark.parametrize("longer", [True, False])
def test_a_text_and_a_sound(tiny: Tiny, longer: bool, tmp_path: Path) -> None:
    oracle, inputs = lively(tiny, tmp_path), inputs_of(tiny, longer=longer)
    with torch.no_grad():
        expected = oracle(input_ids=torch.tensor([TOKENS]), **inputs)
    found = ours(tmp_path, inputs)
    torch.testing.assert_close(found["output"], expected.logits_per_text, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["similarity of the sound"], expected.logits_per_audio, rtol=1e-4, atol=1e-5)
    for stage, vectors in (("text projector", expected.text_embeds), ("audio projector", expected.audio_embeds)):
        assert seeing.off(found[stage] / found[stage].norm(), vectors) < 1e-4


@pytest.mark.parametrize("tiny", HALVES, ids=lambda tiny: tiny.name)
def test_an_encoder_alone(tiny: Tiny, tmp_path: Path) -> None:
    """The last hidden states and the pooled vector, or the vector for the comparison; every tensor matters."""
    model = seeing.enlivened(tiny.build())
    model.save_pretrained(tmp_path)
    hears = tiny.kind == "ClapAudio"
    sound = SOUND if tiny.keys.get("enable_fusion") else SOUND[:, :1]
    given: dict[str, Any] = {"input_features": sound, "is_longer": torch.tensor([[True]])} if hears else {}
    text: list[int] = [] if hears else TOKENS
    with torch.no_grad():
        expected = model(**given) if hears else model(input_ids=torch.tensor([TOKENS]))
    projected = tiny.model == "ModelWithProjection"

    def made() -> dict[str, torch.Tensor]:
        kept: dict[str, torch.Tensor] = {}
        result = weightscope.open(tmp_path).forward(text, keep=lambda name, x: kept.update({name: x}), **given)
        assert result.output is not None
        return {"output": result.output} | ({} if projected else {"pooled": kept["pooled"]})

    before = made()
    if projected:
        vector = expected.audio_embeds if hears else expected.text_embeds
        assert seeing.off(before["output"], vector) < 1e-4
    else:
        assert seeing.off(before["pooled"], expected.pooler_output) < 1e-4
        hidden = expected.pooler_output if hears else expected.last_hidden_state[0]
        assert seeing.off(before["output"], hidden) < 1e-4
    path, generator, still = tmp_path / "model.safetensors", torch.Generator().manual_seed(5), set()
    tensors = load_file(path)
    for name, tensor in tensors.items():
        drawn = torch.randn(tensor.shape, generator=generator)
        other = tensor + (drawn if tensor.is_floating_point() else drawn.abs()).to(tensor.dtype)
        save_file(tensors | {name: other}, path, metadata={"format": "pt"})
        if all(seeing.off(made()[stage], before[stage]) < 1e-4 for stage in before):
            still.add(name)
    unused = ("key.bias", "num_batches_tracked", "position_ids", "token_type_ids", "relative_position_index")
    assert still == {name for name in tensors if name.endswith(unused)}


@every_clap
def test_its_values_are_looked_at(tiny: Tiny, tmp_path: Path) -> None:
    """Statistics of a norm are no weights, and nothing is said of them."""
    lively(tiny, tmp_path)
    findings = weightscope.open(tmp_path).check(values=True)
    assert [finding for finding in findings if finding.severity != "info"] == []


@every_clap
def test_every_tensor_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But what all keys share, indices, and how many batches a statistic is of."""
    lively(tiny, tmp_path)
    inputs = inputs_of(tiny)
    tensors, model = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path)
    before = stages_of(model, inputs)
    generator, still = torch.Generator().manual_seed(5), set()
    stages = ("text projector", "audio projector", "output", "similarity of the sound")
    for name, tensor in tensors.items():
        drawn = torch.randn(tensor.shape, generator=generator)
        other = tensor + (drawn if tensor.is_floating_point() else drawn.abs()).to(tensor.dtype)
        with altered(tmp_path, {name: other}):
            after = stages_of(model, inputs)
        if all(seeing.off(after[stage], before[stage]) < 1e-4 for stage in stages):
            still.add(name)
    unused = ("key.bias", "num_batches_tracked", "position_ids", "token_type_ids", "relative_position_index")
    assert still == {name for name in tensors if name.endswith(unused)}


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("clap", {}, "input_features is missing"),
        ("clap", {"input_features": SOUND}, "not \\[1, 1, frames, 8\\]"),
        ("clap", {"input_features": torch.zeros(1, 1, 129, 8)}, "129 frames; the encoder takes 128 at most"),
        ("clap", {"input_features": torch.zeros(2, 1, 9, 8)}, "give one clip only"),
        ("clap-fused", {"input_features": SOUND}, "is_longer is missing"),
        ("clap-fused", {"input_features": SOUND[:, :1], "is_longer": [[True]]}, "has none"),
    ],
)
def test_what_does_not_fit_is_said(name: str, inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved(name)).forward(TOKENS, **inputs)
