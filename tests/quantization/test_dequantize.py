"""`tensor.numpy(dequantize=True)`: the matrix that a quantized weight stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from weightscope.errors import CheckpointError, UsageError

ROOT = Path(__file__).parents[2]
NAME = "model.layers.0.mlp.up_proj"


def affine(tensors: dict[str, torch.Tensor], module: str) -> np.ndarray[Any, Any]:
    """What MLX's page says, a number at a time: w = q · scale + bias in groups of 32, 4 bits, the lowest first."""
    words = tensors[f"{module}.weight"].numpy().astype(np.uint32)
    scales, biases = (tensors[f"{module}.{part}"].double().numpy() for part in ("scales", "biases"))
    codes = np.stack([(words >> np.uint32(4 * place)) & np.uint32(15) for place in range(8)], axis=-1)
    flat = codes.reshape(len(words), -1).astype(np.float64)
    group = flat.shape[1] // scales.shape[1]
    matrix: np.ndarray[Any, Any] = flat * scales.repeat(group, 1) + biases.repeat(group, 1)
    return matrix


def test_a_quantized_weight_is_given_as_what_it_stands_for() -> None:
    fixture = ROOT / "fixtures" / "qwen3-mlx-4bit"
    tensors = load_file(next(fixture.glob("*.safetensors")))
    model = weightscope.open(fixture)
    tensor = model.tensors[f"{NAME}.weight"]
    expected = affine(tensors, NAME)
    found = tensor.numpy(dequantize=True)
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(tensor.numpy(1, dequantize=True), found[1])
    assert tensor.numpy().dtype == np.uint32
    norm = model.tensors["model.norm.weight"]
    np.testing.assert_array_equal(norm.numpy(dequantize=True), norm.numpy())


def test_a_scale_alone_is_no_weight() -> None:
    model = weightscope.open(ROOT / "fixtures" / "qwen3-mlx-4bit")
    with pytest.raises(UsageError, match="scale of a quantized weight") as caught:
        model.tensors[f"{NAME}.scales"].numpy(dequantize=True)
    assert f"{NAME}.weight" in caught.value.hint


def test_a_lost_scale_is_named(tmp_path: Path) -> None:
    fixture = ROOT / "fixtures" / "qwen3-mlx-4bit"
    tensors = load_file(next(fixture.glob("*.safetensors")))
    del tensors[f"{NAME}.biases"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((fixture / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=rf"{NAME}\.biases is in no file"):
        weightscope.open(tmp_path).tensors[f"{NAME}.weight"].numpy(dequantize=True)
