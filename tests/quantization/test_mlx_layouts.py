"""Quantized models in MLX's layout: packed stacks of experts beside kernels that are turned and norms with 1 added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.mlx_layouts import TEXT, VISION, Tensors
from tests.families.test_mlx_layouts import TOKENS, calm, off, theirs
from tests.families.tiny import Tiny
from tests.families.tiny_hybrids import QWEN3_NEXT
from tests.families.tiny_vision import DELTA, IDS, PLAIN, SHARED, WHOLE
from tests.quantization.bench import perturbed, write

# Widths that groups of 32 and 64 divide.
WIDE: dict[str, Any] = {
    "hidden_size": 64, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 96, "linear_value_head_dim": 16,
}  # fmt: skip
SEEING = {"text_config": DELTA | SHARED | WIDE, "vision_config": PLAIN | {"out_hidden_size": 64}}
MODELS = (Tiny("qwen3_next", "Qwen3Next", QWEN3_NEXT | WIDE), Tiny("qwen3_5_moe", "Qwen3_5Moe", IDS | SEEING, WHOLE))
PARTS = ("weight", "scales", "biases")


def packed(shape: torch.Size, bits: int, group: int, seed: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Random words, scales and biases, and q · scale + bias by NumPy."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    codes = rng.integers(0, 1 << bits, shape, dtype=np.uint32)
    each = 32 // bits
    words = (codes.reshape(rows, -1, each) << (np.arange(each, dtype=np.uint32) * bits)).sum(-1, dtype=np.uint32)
    scales = rng.uniform(0.2, 0.6, (rows, columns // group)).astype(np.float32) / (1 << bits)
    biases = -scales * (1 << (bits - 1)) + rng.normal(0, 0.01, scales.shape).astype(np.float32)
    dense = codes.reshape(rows, -1, group) * scales[..., None] + biases[..., None]
    parts = tuple(torch.from_numpy(part) for part in (words, scales, biases))
    return parts, torch.from_numpy(dense.reshape(shape).astype(np.float32))


@pytest.fixture(params=MODELS, ids=lambda tiny: tiny.name)
def quantized(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Tensors, dict[str, Any]]:
    """The model on its dequantized matrices as transformers has it, and MLX's tensors and config.

    Matrices of the language model have 4 bits, routers 8, as mlx-lm's `quant_predicate` wants.
    """
    tiny: Tiny = request.param
    tiny.build().save_pretrained(tmp_path / "built" / tiny.name)
    original = calm(tmp_path / "built" / tiny.name, tmp_path / tiny.name)
    tensors = load_file(original / "model.safetensors")
    found: list[Tensors] = [{}, {}, {}]
    settings: dict[str, Any] = {"bits": 4, "group_size": 32}
    convert = (TEXT | VISION)[tiny.name]
    for seed, (name, tensor) in enumerate(sorted(tensors.items())):
        if tensor.dim() != 2 or tensor.shape[-1] % 32 or "visual" in name or not name.endswith(".weight"):
            continue
        router = name.endswith(("mlp.gate.weight", "shared_expert_gate.weight"))
        if router:
            (converted,) = convert({name: tensor})
            settings[converted.removesuffix(".weight")] = {"bits": 8, "group_size": 64}
        parts, tensors[name] = packed(tensor.shape, *((8, 64) if router else (4, 32)), seed)
        for of, part in zip(found, parts, strict=True):
            of[name] = part
    save_file(tensors, original / "model.safetensors", metadata={"format": "pt"})
    stored = convert({name: tensor for name, tensor in tensors.items() if name not in found[0]})
    for leaf, of in zip(PARTS, found, strict=True):
        stored |= {name.removesuffix("weight") + leaf: tensor for name, tensor in convert(of).items()}
    config = json.loads((original / "config.json").read_text())
    return original, stored, config | {"quantization": settings, "quantization_config": settings}


def test_quantized_models(quantized: tuple[Path, Tensors, dict[str, Any]], tmp_path: Path) -> None:
    original, stored, config = quantized
    assert any(name.endswith("switch_mlp.down_proj.scales") for name in stored)
    model = weightscope.open(write(tmp_path / "mlx", stored, config))
    assert model.parameters.total == weightscope.open(original).parameters.total
    assert [finding for finding in model.check(values=True) if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    expected = model.forward(TOKENS).logits
    assert off(expected, theirs(original)) < 1e-4
    assert expected is not None
    last = (
        "layers.1.input_layernorm.weight",
        "layers.0.linear_attn.conv1d.weight",
        "layers.0.linear_attn.out_proj.biases",
    )
    for name in (name for name in stored if name.endswith(last)):
        changed = stored | {name: perturbed(stored[name])}
        logits = weightscope.open(write(tmp_path / "mlx", changed, config)).forward(TOKENS).logits
        assert off(logits, expected) > 1e-2, name
