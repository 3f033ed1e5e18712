"""The words of docs/counting.md on checkpoints whose sums can be done by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import weightscope

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(("name", "total", "tied"), [("mini", 11776, False), ("mini-tied", 7680, True)])
def test_the_mini_model(name: str, total: int, tied: bool) -> None:
    model = weightscope.open(FIXTURES / name)
    assert model.parameters.total == total
    assert model.parameters.non_embedding == 1024 + 2048
    assert model.tying.tied is tied
    parts = {component.component: component.parameters for component in model.components}
    assert parts == {"embedding": 4096 + 512, "attention": 1024, "mlp": 2048} | ({} if tied else {"head": 4096})


def test_buffers_of_old_checkpoints_are_no_parameters() -> None:
    """Three layers of two rotary frequencies; two layers of a 32 × 32 mask and a masked_bias."""
    assert weightscope.open(FIXTURES / "llama-1").parameters.buffers == 6
    assert weightscope.open(FIXTURES / "llama-1").parameters.total == 28296
    assert weightscope.open(FIXTURES / "gpt2").parameters.buffers == 2 * (1024 + 1)
    assert weightscope.open(FIXTURES / "gpt2").tensors["h.0.attn.bias"].kind == "buffer"


def test_shared_storage_is_stored_and_counted_once() -> None:
    state = torch.load(FIXTURES / "gpt2" / "pytorch_model.bin", weights_only=True)
    once = {tensor.untyped_storage().data_ptr(): tensor.numel() for tensor in state.values()}
    model = weightscope.open(FIXTURES / "gpt2")
    assert model.parameters.stored_elements == sum(once.values())
    assert model.tying.evidence == "shared-storage"


def test_deepseek_scales_auxiliary_and_active() -> None:
    """Two mixed layers of 4 experts of 3 × 12 × 24, of which a token uses 2."""
    counts = weightscope.open(FIXTURES / "deepseek-v3").parameters
    assert counts.total is not None
    assert counts.active is not None
    assert counts.total - counts.active == 2 * 2 * 3 * 12 * 24
    assert counts.buffers == 2 * 4
    expected_mtp = weightscope.open(FIXTURES / "deepseek-v3").components[-1]
    assert (expected_mtp.component, expected_mtp.parameters) == ("mtp", counts.auxiliary)


def test_bits_per_parameter_count_scales_and_not_what_is_stored_twice() -> None:
    assert weightscope.open(FIXTURES / "llama").parameters.bits_per_parameter == 16
    assert weightscope.open(FIXTURES / "llama-1").parameters.bits_per_parameter == 16
    assert weightscope.open(FIXTURES / "mixtral").parameters.bits_per_parameter == 16
    assert weightscope.open(
        FIXTURES / "mini" / "config.json".replace("config.json", "model.safetensors")
    ).parameters.total
    assert weightscope.open(FIXTURES / "llama" / "config.json").parameters.bits_per_parameter is None


def test_training_checkpoints_show_their_weights_apart() -> None:
    summary = weightscope.open(FIXTURES / "training").summary()
    assert (summary.tensors.total, summary.tensors.recognized) == (12, 12)
    assert summary.model.notes == (
        "checkpoint.pt also holds optimizer (36 tensors), which are not weights of the model",
    )


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "deepseek-v3", "llava"])
def test_python_objects_carry_the_same_words(name: str) -> None:
    model = weightscope.open(FIXTURES / name)
    summary = model.summary()
    assert summary.parameters == model.parameters
    assert summary.components == model.components
    assert len(model.tensors) == summary.tensors.total
    assert all(model.tensors[tensor].role for tensor in model.tensors)
