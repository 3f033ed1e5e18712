"""Speech encoders against transformers: frames, characters, classes of sounds, and that every tensor matters."""

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
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.families.tiny import Tiny
from tests.families.tiny_waves import TINY_WAVES
from tests.forward import seeing
from weightscope.errors import UsageError

Inputs = dict[str, Any]
Run = Callable[..., tuple[int, str, str]]
every_encoder = pytest.mark.parametrize("tiny", TINY_WAVES, ids=lambda tiny: tiny.name)
SAMPLES = torch.randn(2, 211, generator=torch.Generator().manual_seed(1))
ONE: Inputs = {"input_values": SAMPLES[:1]}
# The second clip is shorter.
PADDED: Inputs = {"input_values": SAMPLES, "attention_mask": (torch.arange(211) < torch.tensor([[211], [130]])).long()}


def lively(tiny: Tiny, directory: Path) -> Any:
    """A model with weights under which its every part shows, saved to the directory."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{tiny.kind}Config")(**tiny.keys)
    config._attn_implementation = "eager"
    model = seeing.enlivened(getattr(transformers, f"{tiny.kind}{tiny.model}")(config).eval())
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(directory)
    return model


def ours(directory: Path, inputs: Inputs) -> dict[str, torch.Tensor]:
    return stages(weightscope.open(directory), inputs)


def stages(model: weightscope.Model, inputs: Inputs) -> dict[str, torch.Tensor]:
    kept: dict[str, torch.Tensor] = {}
    result = model.forward((), keep=lambda name, x: kept.update({name: x}), **inputs)
    assert result.output is not None
    return kept | {"output": result.output}


def theirs(oracle: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
    with torch.no_grad(), warnings.catch_warnings():
        # torch warns of what WavLM's own code hands to it.
        warnings.simplefilter("ignore")
        out = oracle(**{name: value.clone() for name, value in inputs.items()})
    if "projected_states" in out:
        quantized = out.projected_quantized_states.flatten(0, 1)
        return {"output": out.projected_states.flatten(0, 1), "quantized features": quantized}
    output = out.logits if "logits" in out else out.last_hidden_state
    voice = {"voice embedding": out.embeddings} if "embeddings" in out else {}
    return {"output": output.flatten(0, -2)} | voice


@every_encoder
@pytest.mark.parametrize("inputs", [ONE, PADDED], ids=["one", "padded"])
def test_outputs(tiny: Tiny, inputs: Inputs, tmp_path: Path) -> None:
    oracle = lively(tiny, tmp_path)
    found = ours(tmp_path, inputs)
    for name, expected in theirs(oracle, inputs).items():
        assert found[name].shape == expected.shape
        assert seeing.off(found[name], expected) < 1e-4, name
    assert weightscope.open(tmp_path).forward((), **inputs).has_logits == (tiny.model == "ForCTC")


@every_encoder
def test_every_kind_of_tensor_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But what stands for masked frames, what all keys share, and how many batches a statistic is of.

    The sum of all layers leaves out the last norm, where there is one.
    """
    lively(tiny, tmp_path)
    tensors, model = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path)
    before = stages(model, ONE)
    generator, still = torch.Generator().manual_seed(5), set()
    kinds = seeing.one_of_each_kind(tensors)
    for name in kinds:
        tensor = tensors[name]
        other = tensor + torch.randn(tensor.shape, generator=generator).abs().to(tensor.dtype)
        with altered(tmp_path, {name: other}):
            after = stages(model, ONE)
        if all(seeing.off(after[stage], x) < 1e-4 for stage, x in before.items() if stage in LAST):
            still.add(name)
    unused = ["masked_spec_embed", "objective.weight", "k_proj.bias", "num_batches_tracked"]
    if tiny.keys.get("use_weighted_layer_sum") and tiny.keys.get("do_stable_layer_norm"):
        unused += ["encoder.layer_norm.weight", "encoder.layer_norm.bias"]
    assert still == {name for name in kinds if name.endswith(tuple(unused))}


LAST = ("output", "quantized features")


@pytest.mark.parametrize("name", ["wav2vec2-characters", "hubert", "wavlm-classes-weighted"])
def test_as_published(name: str, tmp_path: Path) -> None:
    """Under torch's old names of weight norms, and without the vector for masked frames (wav2vec2-base-960h)."""
    lively(next(tiny for tiny in TINY_WAVES if tiny.name == name), tmp_path)
    tensors, before = load_file(tmp_path / "model.safetensors"), ours(tmp_path, ONE)["output"]
    total = weightscope.open(tmp_path).parameters.total
    assert total is not None
    for old, masked in ((False, False), (True, True), (True, False)):
        held = {
            name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            )
            if old
            else name: tensor
            for name, tensor in tensors.items()
            if masked or not name.endswith("masked_spec_embed")
        }
        save_file(held, tmp_path / "model.safetensors", metadata={"format": "pt"})
        model = weightscope.open(tmp_path)
        assert [finding for finding in model.check() if finding.severity != "info"] == []
        assert model.parameters.total == total - (0 if masked else 24)
        assert torch.equal(ours(tmp_path, ONE)["output"], before)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "needs input_values"),
        ({"input_values": torch.zeros(1, 2, 3)}, r"\[1, 2, 3\], not \[clips, samples\]"),
        ({"input_values": torch.zeros(1, 27)}, "has 27 samples; the first frame takes 35"),
        ({"input_values": torch.full((1, 99), torch.nan)}, "NaN"),
        (ONE | {"attention_mask": torch.ones(1, 210)}, r"\[1, 210\], but input_values has \[1, 211\]"),
        (ONE | {"attention_mask": torch.full((1, 211), 2)}, "other than 0 and 1"),
        (ONE | {"attention_mask": (torch.arange(211) > 9)[None]}, "hides samples before others"),
        (ONE | {"attention_mask": (torch.arange(211) < 9)[None]}, "fewer than 35 samples"),
        (ONE | {"pixel_values": torch.zeros(1)}, "does not take images"),
    ],
)
def test_what_does_not_fit_is_said(inputs: Inputs, said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("wav2vec2")).forward((), **inputs)


def test_a_clip_that_is_too_short_for_a_voice(saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="too short for this head"):
        weightscope.open(saved("wav2vec2-speakers")).forward((), input_values=SAMPLES[:1, :80])


def test_tokens_are_refused(saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="takes no tokens"):
        weightscope.open(saved("wav2vec2")).forward([1, 2], **ONE)


def test_a_layer_to_stop_after(saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved("wav2vec2"))
    assert model.forward((), stop_after=1, **ONE).stages[-1].stage == "layer 1 mlp"
    with pytest.raises(UsageError, match="there is no layer 3"):
        model.forward((), stop_after=3, **ONE)


@pytest.mark.parametrize("name", ["wav2vec2-characters", "hubert-stable-batch-norm", "wavlm-frames-weighted"])
def test_the_command_compares(name: str, saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **{name: value.numpy() for name, value in PADDED.items()})
    status, out, error = run(
        "forward", saved(name), "--inputs", tmp_path / "in.npz", "--compare", "transformers", "--format", "json"
    )
    assert (status, error) == (0, "")
    compared = {item["stage"] for item in json.loads(out)["compared"]}
    last = {"logits"} if "characters" in name else {"class scores"} if "frames" in name else {"output"}
    assert compared == {"embedding", "layer 0", "layer 1", "layer 2"} | last


def test_sizes_that_contradict_each_other(saved: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    for keys, said in (
        ({"conv_stride": [3, 2]}, "conv_stride 2"),
        ({"conv_dim": [10, 0, 11, 13]}, "not a list of positive whole numbers"),
        ({"conv_dim": [10] * 1001}, "no model has so many"),
        ({"num_conv_pos_embedding_groups": 5}, "not a multiple of 5"),
    ):
        config = json.loads((saved("wav2vec2") / "config.json").read_text()) | keys
        (tmp_path / "config.json").write_text(json.dumps(config))
        status, out, error = run("check", tmp_path)
        assert status != 0
        assert said in " ".join((out + error).split())
