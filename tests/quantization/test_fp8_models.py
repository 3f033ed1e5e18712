"""Tiny models in FP8, in each form that is published, against transformers on the dequantized matrices."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.quantization import bench
from tests.quantization.bench import Plain, Tensors

BLOCKS = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32], "fmt": "e4m3"}}
SIZES = {"intermediate_size": 148}
PLAINS = [bench.llama(**SIZES), bench.mixture()]


def blocks(module: str, shape: torch.Size) -> tuple[Tensors, torch.Tensor]:
    """Every code of E4M3 that is a number; the last block of rows or columns may be smaller."""
    noise = torch.Generator().manual_seed(len(module))
    codes = torch.randint(0, 0x7F, shape, generator=noise) + 128 * torch.randint(0, 2, shape, generator=noise)
    weight = codes.to(torch.uint8).view(torch.float8_e4m3fn)
    scale = torch.rand(-(-shape[0] // 32), -(-shape[1] // 32), generator=noise) * 2e-3 + 1e-3
    spread = scale.repeat_interleave(32, 0)[: shape[0]].repeat_interleave(32, 1)[:, : shape[1]]
    return {".weight": weight, ".weight_scale_inv": scale}, weight.float() * spread


@pytest.mark.parametrize("plain", PLAINS, ids=["llama", "mixture"])
def test_blocks(plain: Plain, tmp_path: Path) -> None:
    quantized = bench.quantize(plain, blocks, BLOCKS)
    bench.check_sound(quantized, tmp_path)


def test_each_tensor_matters(tmp_path: Path) -> None:
    bench.check_every_tensor_matters(bench.quantize(PLAINS[0], blocks, BLOCKS), tmp_path)


def test_planted_faults(tmp_path: Path) -> None:
    quantized = bench.quantize(PLAINS[0], blocks, BLOCKS)
    bench.check_planted_faults(quantized, "model.layers.1.mlp.up_proj", tmp_path, scales=[".weight_scale_inv"])


def test_stripped(tmp_path: Path) -> None:
    bench.check_stripped(bench.quantize(PLAINS[1], blocks, BLOCKS), tmp_path, computed=False)
