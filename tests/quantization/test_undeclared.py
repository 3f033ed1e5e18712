"""Quantized weights of a model that no family declares: counted as what their tensors tell, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import weightscope

TABLE = {"model.embed_tokens.weight": torch.ones(10, 64, dtype=torch.float16)}


def write(directory: Path, tensors: dict[str, torch.Tensor], **config: Any) -> weightscope.Model:
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "of_tomorrow"} | config))
    return weightscope.open(directory)


def gptq(module: str) -> dict[str, torch.Tensor]:
    """4 bits: a matrix of 48 × 64 in groups of 32, eight codes to a word along its 64 columns."""
    return {
        f"{module}.qweight": torch.ones(8, 48, dtype=torch.int32),
        f"{module}.qzeros": torch.ones(2, 6, dtype=torch.int32),
        f"{module}.scales": torch.ones(2, 48, dtype=torch.float16),
        f"{module}.g_idx": torch.arange(64, dtype=torch.int32) // 32,
    }


def test_gptq_is_told_by_its_own_tensors(tmp_path: Path) -> None:
    """Of each weight: 48 · 64 codes of 4 bits, 2 · 6 words of zeros, 2 · 48 scales of 2 bytes, 64 indices of 4."""
    model = write(tmp_path, TABLE | gptq("model.layers.0.a.q_proj") | gptq("model.layers.1.a.q_proj"))
    assert model.parameters.total == 10 * 64 + 2 * 48 * 64
    quantization = model.summary().quantization
    assert quantization is not None
    (scheme,) = quantization.schemes
    assert (quantization.method, scheme.method, scheme.tensors, scheme.parameters) == (None, "gptq", 2, 2 * 48 * 64)
    assert (scheme.bytes, scheme.scale_bytes) == (2 * 48 * 64 // 2, 2 * (12 * 4 + 96 * 2 + 64 * 4))
    assert scheme.bits_without_scales == 4.0
    assert scheme.bits_per_parameter == round(4 + (12 * 4 + 96 * 2 + 64 * 4) * 8 / (48 * 64), 4)


def test_mlx_needs_its_settings(tmp_path: Path) -> None:
    """4 bits in groups of 64 and 8 bits in groups of 32 have tensors of the same shapes."""
    tensors = TABLE | {
        "model.layers.0.a.q_proj.weight": torch.ones(48, 16, dtype=torch.uint32),
        "model.layers.0.a.q_proj.scales": torch.ones(48, 2, dtype=torch.float16),
        "model.layers.0.a.q_proj.biases": torch.ones(48, 2, dtype=torch.float16),
    }
    assert write(tmp_path, tensors).parameters.total is None
    told = write(tmp_path, tensors, quantization={"bits": 4, "group_size": 64})
    assert told.parameters.total == 10 * 64 + 48 * 128
    told = write(tmp_path, tensors, quantization={"bits": 8, "group_size": 32})
    assert told.parameters.total == 10 * 64 + 48 * 64


def test_what_nothing_tells_is_null_everywhere(tmp_path: Path) -> None:
    tensors = TABLE | {"model.layers.0.a.q_proj.weight": torch.ones(48, 8, dtype=torch.int32)}
    model = write(tmp_path, tensors)
    counts = model.parameters
    assert (counts.total, counts.active, counts.non_embedding, counts.bits_per_parameter) == (None,) * 4
    assert counts.stored_elements == 10 * 64 + 48 * 8
    assert [(c.component, c.parameters, c.share) for c in model.components] == [
        ("embedding", 640, None),
        ("attention", None, None),
    ]
    for by in ("component", "role", "layer", "dtype", "quantization", "module"):
        rows = model.breakdown(by)
        assert None in {row.parameters for row in rows}
        assert {row.share for row in rows} == {None}
    assert {row.name: row.parameters for _, row in model.listing()} == {
        "model.embed_tokens.weight": 640,
        "model.layers.0.a.q_proj.weight": None,
    }


@pytest.mark.parametrize("format", ["table", "csv", "markdown", "json"])
def test_it_is_shown(format: str, tmp_path: Path, run: Any) -> None:
    write(tmp_path, TABLE | {"model.layers.0.a.q_proj.weight": torch.ones(48, 8, dtype=torch.int32)})
    for command in (("inspect",), ("params", "--by", "layer"), ("tensors",)):
        status, out, error = run(command[0], tmp_path, *command[1:], "--format", format)
        assert (status, error) == (0, "")
        assert "nan" not in out.lower()
    status, out, _ = run("inspect", tmp_path)
    assert "unknown: packed integers" in out
