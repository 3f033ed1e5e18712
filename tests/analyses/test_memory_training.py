"""What training takes, against torch's own optimizers on tiny models, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.families.tiny import TINY
from weightscope.analyses.memory.training import Training
from weightscope.errors import UsageError

ROOT = Path(__file__).parents[2]
BY_NAME = {tiny.name: tiny for tiny in TINY}
TABLES = ("embed_tokens", "lm_head", "wte", "wpe")


def trained(name: str, directory: Path, **asked: Any) -> Training:
    BY_NAME[name].build().save_pretrained(directory)
    found = weightscope.open(directory).memory(**asked).training
    assert found
    return found


def parts_of(found: Training) -> dict[str, int]:
    return {part.part: part.bytes for part in found.parts}


def hidden(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == 2 and not any(table in name for table in TABLES)


def optimizers(model: torch.nn.Module, name: str) -> list[torch.optim.Optimizer]:
    """Torch's own, as a training script would make them."""
    every = list(model.parameters())
    if name == "muon":
        named = list(model.named_parameters())
        return [
            torch.optim.Muon([p for n, p in named if hidden(n, p)]),
            torch.optim.AdamW([p for n, p in named if not hidden(n, p)]),
        ]
    made: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adamw": lambda: torch.optim.AdamW(every),
        "adafactor": lambda: torch.optim.Adafactor(every),
        "sgd": lambda: torch.optim.SGD(every),
        "sgd-momentum": lambda: torch.optim.SGD(every, momentum=0.9),
    }
    return [made[name]()]


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "muon", "sgd", "sgd-momentum"])
@pytest.mark.parametrize("name", ["llama", "llama-tied", "mixtral", "mamba2"])
def test_what_torch_keeps_after_a_step(name: str, optimizer: str, tmp_path: Path) -> None:
    """Weights, gradients and every tensor of the optimizer's state but the counted steps, in float32."""
    if name in ("mixtral", "mamba2") and optimizer in ("adafactor", "muon"):
        pytest.skip("transformers keeps experts and kernels in other shapes than files have")
    found = trained(name, tmp_path, trainable="full", precision="float32", optimizer=optimizer)
    model = BY_NAME[name].build().train()
    used = optimizers(model, optimizer)
    model(input_ids=torch.arange(10)[None], labels=torch.arange(10)[None], use_cache=False).loss.backward()
    state = 0
    for one in used:
        one.step()
        kept = [t for s in one.state.values() for key, t in s.items() if key != "step" and isinstance(t, torch.Tensor)]
        state += sum(tensor.numel() * tensor.element_size() for tensor in kept)
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    expected = {"weights that are trained": weights, "gradients": weights, "optimizer state": state}
    buffers = sum(t.numel() * 4 for n, t in model.named_buffers() if n in model.state_dict())
    assert parts_of(found) == {key: value for key, value in expected.items() if value} | (
        {"weights that are frozen": buffers} if buffers else {}
    )


def test_mixed_precision_takes_16_bytes_a_parameter(tmp_path: Path) -> None:
    """Two for the weight, four for its master copy, two for the gradient, eight for two moments (ZeRO, section 3.1)."""
    found = trained("llama", tmp_path, trainable="full")
    assert found.bytes == 16 * found.trained
    assert [part.each for part in found.parts] == [2, 4, 2, 8]


@pytest.mark.parametrize(("zero", "each"), [(0, 16), (1, 4 + 12 / 8), (2, 2 + 14 / 8), (3, 16 / 8)])
def test_zero_divides_states_then_gradients_then_weights(zero: int, each: float, tmp_path: Path) -> None:
    """The figures of ZeRO's paper (arXiv 1910.02054, figure 1) for 8 devices."""
    found = trained("llama", tmp_path, trainable="full", zero=zero, gpus=8)
    assert found.per_device == pytest.approx(each * found.trained, rel=1e-3)


def test_eight_bits_are_two_bytes_and_a_float32_for_each_block(tmp_path: Path) -> None:
    """Of fixtures/llama the two tables of 256 by 24 have 4,096 elements or more, and so are in blocks of 256."""
    found = weightscope.open(ROOT / "fixtures" / "llama").memory(trainable="full", optimizer="adamw-8bit").training
    assert found
    table = 256 * 24
    assert parts_of(found)["optimizer state"] == 2 * 2 * (table + 4 * table // 256) + 8 * (28296 - 2 * table)


def test_adapters_are_trained_and_the_rest_is_frozen() -> None:
    """Rank 4 beside q_proj [24, 24] and v_proj [8, 24] of 3 layers."""
    plan = "lora:r=4,targets=q_proj,v_proj"
    found = weightscope.open(ROOT / "fixtures" / "llama").memory(trainable=plan, optimizer="adafactor").training
    assert found
    added = 3 * 4 * (24 + 24 + 8 + 24)
    assert (found.trained, found.frozen) == (added, 28296)
    # A has 4 + 24 means, B 24 + 4 or 8 + 4, in float32.
    means = 3 * ((4 + 24) + (24 + 4) + (4 + 24) + (8 + 4)) * 4
    assert parts_of(found) == {
        "weights that are trained": 2 * added,
        "weights that are frozen": 2 * 28296,
        "master weights": 4 * added,
        "gradients": 2 * added,
        "optimizer state": means,
    }


def test_quantized_weights_are_frozen_beside_adapters() -> None:
    model = weightscope.open(ROOT / "fixtures" / "llama")
    found = model.memory(trainable="lora:r=4,targets=q_proj", quantize="bitsandbytes").training
    assert found
    assert parts_of(found)["weights that are frozen"] == model.memory(quantize="bitsandbytes").weights.loaded
    with pytest.raises(UsageError, match="quantized weights cannot be trained"):
        model.memory(trainable="full", quantize="bitsandbytes")


def test_what_else_would_save_is_what_it_takes_when_it_is_asked_for() -> None:
    model = weightscope.open(ROOT / "fixtures" / "llama")
    found = model.memory(trainable="full").training
    assert found
    held = {saving.change: saving.per_device for saving in found.savings}
    changes: dict[str, dict[str, Any]] = {
        "optimizer sgd": {"optimizer": "sgd"},
        "precision bfloat16": {"precision": "bfloat16"},
        "ZeRO 2 on 8 devices": {"zero": 2, "gpus": 8},
        "LoRA of rank 16": {"trainable": "lora:r=16,targets=all-linear"},
    }
    for change, asked in changes.items():
        again = model.memory(**({"trainable": "full"} | asked)).training
        assert again
        assert held[change] == again.per_device


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trainable": "full", "optimizer": "lion9"}, "--optimizer has no 'lion9'"),
        ({"trainable": "full", "precision": "int1"}, "--precision has no 'int1'"),
        ({"trainable": "full", "zero": 4}, "--zero is 4"),
        ({"trainable": "everything"}, "has no part 'everything'"),
        ({"optimizer": "sgd"}, "go with what is trained"),
        ({"trainable": "full", "tensor_parallel": 2}, "are for serving"),
        ({"trainable": "vision"}, "has no vision component"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(ROOT / "fixtures" / "llama").memory(**asked)


def test_the_exit_code_says_whether_training_fits(run: Any) -> None:
    plan = ("memory", "fixtures/llama", "--trainable", "full", "--gpu")
    assert run(*plan, "1MB")[0] == 0
    code, out, _ = run(*plan, "400kB")
    assert code == 1
    assert "does-not-fit" in out
