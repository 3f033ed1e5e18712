"""Every figure of every dtype against NumPy in float64, on random and on hostile values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import weightscope
from tests.helpers import safetensors_bytes
from weightscope.analyses.stats.figures import Figures
from weightscope.analyses.stats.tally import AT_ONCE, FEW, Arithmetic, Patterns

TYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F32": np.float32,
    "F64": np.float64,
    "C64": np.complex64,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}


def parts_of(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Real numbers in float64; a complex one is two."""
    if values.dtype == np.complex64:
        values = values.view(np.float32)
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64).reshape(-1)


def assert_as_numpy(figures: Figures, values: np.ndarray[Any, Any]) -> None:
    """All that NumPy computes of the same values."""
    numbers = parts_of(values)
    finite = numbers[np.isfinite(numbers)]
    assert figures.elements == numbers.size
    assert figures.nan == np.isnan(numbers).sum()
    assert figures.positive_infinite == (numbers == np.inf).sum()
    assert figures.negative_infinite == (numbers == -np.inf).sum()
    assert figures.zeros == (finite == 0).sum()
    assert sum(figures.magnitudes) == (finite != 0).sum()
    with np.errstate(over="ignore"):
        assert figures.float16_overflow == np.isinf(finite.astype(np.float16)).sum()
    # What float8_e4m3fn cannot hold is NaN there, and no zero.
    small = finite[np.abs(finite) < 1]
    assert figures.float8_underflow == ((small.astype(ml_dtypes.float8_e4m3fn).astype(float) == 0) & (small != 0)).sum()
    kind = np.dtype(np.float32) if values.dtype == np.complex64 else values.dtype
    least = 0.0 if kind.kind in "biu" else float(ml_dtypes.finfo(kind).smallest_normal)  # type: ignore[no-untyped-call]
    assert figures.subnormal == ((np.abs(finite) < least) & (finite != 0)).sum()
    if not finite.size:
        assert (figures.min, figures.max, figures.mean, figures.std, figures.l2) == (None,) * 5
        return
    assert (figures.min, figures.max, figures.absmax) == (finite.min(), finite.max(), np.abs(finite).max())
    assert figures.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-12 * np.abs(finite).max())
    assert figures.std == pytest.approx(finite.std(), rel=1e-9)
    assert figures.l2 == pytest.approx(np.linalg.norm(finite), rel=1e-9)


def hostile(dtype: np.dtype[Any], size: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Any bit patterns: NaN with payloads, both zeros, subnormal numbers, the largest. Sums stay within float64."""
    rng = np.random.default_rng(seed)
    if dtype == np.bool_:
        return rng.integers(0, 2, size).astype(np.bool_)
    values = rng.integers(0, 256, size * dtype.itemsize, dtype=np.uint8).view(dtype)
    if dtype == np.float64:
        values = np.where(np.abs(values) > 1e100, np.nan, values)
    return values


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [1, 1000, FEW + AT_ONCE // 2 + 13])
def test_any_bit_patterns(dtype: str, size: int, tmp_path: Path) -> None:
    values = hostile(np.dtype(TYPES[dtype]), size)
    assert_as_numpy(stats_of(values, dtype, tmp_path)["w"].figures, values)


def stats_of(values: np.ndarray[Any, Any], dtype: str, folder: Path) -> dict[str, Any]:
    """From a file that was written by hand: no library writes all of these types."""
    header = {"w": {"dtype": dtype, "shape": list(values.shape), "data_offsets": [0, values.nbytes]}}
    (folder / "model.safetensors").write_bytes(safetensors_bytes(header, values.tobytes()))
    return {row.name: row for row in weightscope.open(folder).stats(stored=True).tensors}


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "I16"])
def test_counting_patterns_and_arithmetic_agree(dtype: str) -> None:
    values = hostile(np.dtype(TYPES[dtype]), 1 << 17)
    for tally in (Patterns(values.dtype), Arithmetic(values.dtype)):
        zeros = tally.add(values[:50_000]) + tally.add(values[50_000:])
        assert zeros == tally.sums.counts.zeros
        assert_as_numpy(tally.sums.figures, values)


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64", "F8_E4M3"])
@pytest.mark.parametrize("value", [np.nan, 0.0, -0.0, 1.0, 0.1])
def test_one_number_everywhere(dtype: str, value: float, tmp_path: Path) -> None:
    values = np.full((37, 1 << 12), value).astype(TYPES[dtype])
    row = stats_of(values, dtype, tmp_path)["w"]
    assert_as_numpy(row.figures, values)
    if value == value:
        assert row.figures.std == 0
        assert row.figures.is_constant


def test_a_small_spread_around_a_large_mean(tmp_path: Path) -> None:
    """A difference of sums of squares would have no correct digit."""
    rng = np.random.default_rng(1)
    values = 1e8 + rng.standard_normal(200_000)
    assert_as_numpy(stats_of(values, "F64", tmp_path)["w"].figures, values)


def test_what_is_too_large_for_float64_is_null(tmp_path: Path) -> None:
    figures = stats_of(np.array([1e308, -1e308, 1e308]), "F64", tmp_path)["w"].figures
    assert (figures.max, figures.l2, figures.std) == (1e308, None, None)


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (4, 0), (3, 0, 2), (1,), (1, 1)])
def test_odd_shapes(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.full(shape, 2.0, np.float32)
    row = stats_of(values, "F32", tmp_path)["w"]
    assert (row.shape, row.figures.elements) == (shape, values.size)
    assert row.figures.mean == (2.0 if values.size else None)


@pytest.mark.parametrize(("dtype", "bits"), [("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6)])
def test_types_of_less_than_a_byte(dtype: str, bits: int, tmp_path: Path) -> None:
    """Packed lowest bits first, by hand; each pattern's number is ml_dtypes'."""
    names = {"F4": "float4_e2m1fn", "F6_E2M3": "float6_e2m3fn", "F6_E3M2": "float6_e3m2fn"}
    codes = np.random.default_rng(2).integers(0, 1 << bits, (8, 64), dtype=np.uint8)
    stream = sum(int(code) << (bits * place) for place, code in enumerate(codes.reshape(-1)))
    packed = stream.to_bytes(codes.size * bits // 8, "little")
    header = {"w": {"dtype": dtype, "shape": [8, 64], "data_offsets": [0, len(packed)]}}
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header, packed))
    (row,) = weightscope.open(tmp_path).stats(stored=True).tensors
    assert_as_numpy(row.figures, codes.view(getattr(ml_dtypes, names[dtype])))


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex32, torch.complex128, torch.int16])
def test_views_of_a_pytorch_file(dtype: torch.dtype, tmp_path: Path) -> None:
    """A transposed view shares its storage with what lies between its rows."""
    base = torch.arange(6 * 40).reshape(6, 40).to(dtype)
    torch.save({"w": base[:, ::2].T, "rest": base}, tmp_path / "pytorch_model.bin")
    rows = {row.name: row for row in weightscope.open(tmp_path).stats().tensors}
    wide = base[:, ::2].T.contiguous()
    numbers = (torch.view_as_real(wide.to(torch.complex128)) if dtype.is_complex else wide.double()).numpy()
    assert rows["w"].figures.elements == numbers.size
    assert rows["w"].figures.mean == pytest.approx(numbers.mean())
    assert rows["w"].figures.std == pytest.approx(numbers.std())
