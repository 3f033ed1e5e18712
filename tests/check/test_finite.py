"""Which bytes are finite numbers, and which are all zeros: against NumPy and ml_dtypes, pattern by pattern."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import weightscope
from tests.check.planting import Plant
from weightscope.analyses.stats.reading import CHUNK, Source
from weightscope.analyses.stats.skimming import judge, skim

FIXTURES = Path(__file__).parents[2] / "fixtures"
NARROW = {
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}


@pytest.mark.parametrize("dtype", NARROW)
def test_every_pattern_of_a_narrow_type_alone_and_among_others(dtype: str) -> None:
    bits = np.arange(1 << (8 * np.dtype(NARROW[dtype]).itemsize)).astype(f"<u{np.dtype(NARROW[dtype]).itemsize}")
    values = bits.view(NARROW[dtype])
    finite = np.isfinite(values.astype(np.float32))
    assert [judge(bits[n : n + 1].view(np.uint8), dtype)[0] for n in range(len(bits))] == finite.tolist()
    # Among one and minus one, which are the largest of their signs.
    ones = np.array([1, -1 if dtype != "F8_E8M0" else 1, 0.5], NARROW[dtype]).view(bits.dtype)
    among = (np.concatenate((ones, bits[n : n + 1], ones)).view(np.uint8) for n in range(len(bits)))
    assert [judge(raw, dtype)[0] for raw in among] == finite.tolist()
    assert judge(np.ascontiguousarray(bits[finite]).view(np.uint8), dtype) == (True, False)


@pytest.mark.parametrize(("dtype", "numpy"), [("F32", np.float32), ("F64", np.float64), ("C64", np.complex64)])
def test_wide_types(dtype: str, numpy: type[np.generic]) -> None:
    real = np.float64 if numpy is np.float64 else np.float32
    edges = [np.inf, -np.inf, np.nan, -np.nan, np.finfo(real).max, np.finfo(real).min, 5e-324, -0.0, 0.0, 1.0, -1.0]
    for edge in np.array(edges, real):
        for values in ([edge], [1, edge], [edge, -1], [-3, edge, 3], [0, 0, 0, edge]):
            array = (
                np.array(values, numpy) if numpy is not np.complex64 else np.array(values, real).astype(np.complex64)
            )
            expected = (bool(np.isfinite(array).all()), not array.view(np.uint8).any())
            assert judge(array.view(np.uint8), dtype) == expected
    if numpy is np.complex64:
        assert judge(np.array([1j * np.inf], np.complex64).view(np.uint8), dtype) == (False, False)


@pytest.mark.parametrize("dtype", ["I8", "U8", "I64", "BOOL", "F4"])
def test_what_is_no_float_is_finite(dtype: str) -> None:
    assert judge(np.full(16, 0xFF, np.uint8), dtype) == (True, False)
    assert judge(np.zeros(16, np.uint8), dtype) == (True, True)


def looked(path: Path) -> tuple[bool, bool]:
    """(all finite, all zero) of the tensor w."""
    model = weightscope.open(path)
    (found,) = skim(model.checkpoint, [Source(name="w", entry=model.tensors["w"].entry)])
    return found.finite, found.zero


@pytest.mark.parametrize("place", [0, CHUNK // 4 - 1, CHUNK // 4, CHUNK // 2 + 7])
def test_every_chunk_of_a_tensor_counts(place: int, tmp_path: Path) -> None:
    for number, (value, expected) in enumerate([(np.inf, (False, False)), (1.0, (True, False)), (0.0, (True, True))]):
        array = np.zeros(CHUNK // 2 + 8, np.float32)
        array[place] = value
        file = tmp_path / f"{number}.safetensors"
        save_file({"w": array}, file)
        assert looked(file) == expected


def test_an_empty_tensor_is_not_all_zero(tmp_path: Path) -> None:
    save_file({"w": np.zeros((0, 4), np.float32)}, tmp_path / "model.safetensors")
    assert looked(tmp_path / "model.safetensors") == (True, False)


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "config.json"])
def test_values_of_what_has_none(name: str, tmp_path: Path, run: Any) -> None:
    (tmp_path / name).write_bytes((FIXTURES / "llama" / name).read_bytes())
    code, out, err = run("check", "--values", tmp_path / name)
    assert (code, out) == (2, "")
    assert "--values needs weights, and there are none here" in err


def test_an_infinite_bound_clamps_nothing(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """As transformers makes them (Gemma 4); NaN stays an error."""
    plant = Plant.of(saved("gemma4-clipped"), tmp_path)
    bounds = [name for name in plant.tensors if name.endswith("up_proj.output_max")]
    assert np.isinf(plant.tensors[bounds[0]].item())
    assert [finding for finding in plant.findings(values=True) if finding.code == "non-finite"] == []
    assert [finding for finding in weightscope.open(tmp_path).stats().findings if finding.code == "non-finite"] == []
    plant.tensors[bounds[0]].fill_(float("nan"))
    (finding,) = (finding for finding in plant.findings(values=True) if finding.code == "non-finite")
    assert finding.tensors == (bounds[0],)
