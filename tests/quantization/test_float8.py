"""8-bit floats as float32 against torch's own conversion and against ml_dtypes, bit for bit."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from weightscope.quantization.common import float8
from weightscope.quantization.common.float8 import scaled_by_blocks, to_float32

TYPES = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]


def every_byte(name: str, rows: int, columns: int) -> torch.Tensor:
    codes = torch.arange(rows * columns, dtype=torch.int64).remainder(256).to(torch.uint8)
    return codes.reshape(rows, columns).view(getattr(torch, name))


def same_bits(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Bit for bit, but that any NaN is as good as another."""
    nan = torch.isnan(theirs)
    return (
        ours.dtype == theirs.dtype == torch.float32
        and torch.equal(torch.isnan(ours), nan)
        and torch.equal(ours.masked_fill(nan, 0).view(torch.int32), theirs.masked_fill(nan, 0).view(torch.int32))
    )


@pytest.mark.parametrize("name", TYPES)
def test_every_byte_is_what_torch_and_ml_dtypes_say(name: str) -> None:
    weight = every_byte(name, 3, 256)
    assert same_bits(to_float32(weight), weight.float())
    theirs = weight.view(torch.uint8).numpy().view(getattr(ml_dtypes, name)).astype(np.float32)
    assert same_bits(to_float32(weight), torch.from_numpy(theirs))


def test_more_than_a_slab_and_what_is_not_contiguous() -> None:
    weight = every_byte("float8_e4m3fn", 300, 2 * float8.SLAB // 300)
    assert same_bits(to_float32(weight), weight.float())
    assert same_bits(to_float32(weight.T), weight.T.float())
    assert same_bits(to_float32(weight[:0]), weight[:0].float())


def test_wider_types_are_converted_as_torch_does() -> None:
    weight = torch.randn(5, 7, dtype=torch.bfloat16)
    assert same_bits(to_float32(weight), weight.float())


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((8, 16), (4, 8)),
        ((9, 17), (4, 8)),
        ((3, 5), (4, 8)),
        ((7, 12), (1, 12)),
        ((7, 12), (7, 12)),
        ((40, 5), (3, 1)),
        ((300, 1000), (128, 128)),
        ((3, 2 * float8.SLAB), (2, 128)),
    ],
)
def test_scaling_by_blocks_is_bit_for_bit_the_product(
    dtype: str, shape: tuple[int, int], block: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape).to(getattr(torch, dtype))
    scale = torch.rand(-(-shape[0] // block[0]), -(-shape[1] // block[1]))
    spread = scale.repeat_interleave(block[0], 0)[: shape[0]].repeat_interleave(block[1], 1)[:, : shape[1]]
    assert same_bits(scaled_by_blocks(weight, scale, *block), weight.float() * spread)
    assert same_bits(scaled_by_blocks(weight, scale.bfloat16(), *block), weight.float() * spread.bfloat16().float())


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 2), (2,)])
def test_scales_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    weight = torch.zeros(8, 16).to(torch.float8_e4m3fn)
    with pytest.raises(ValueError, match="blocks of 4 × 8"):
        scaled_by_blocks(weight, torch.ones(shape), 4, 8)
