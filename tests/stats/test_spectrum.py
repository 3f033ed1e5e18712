"""Effective rank and singular values against NumPy's SVD in float64."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import weightscope
from tests.helpers import safetensors_bytes
from weightscope.analyses.stats import spectrum
from weightscope.analyses.stats.result import TensorStats

ROOT = Path(__file__).parents[2]
TYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I8": np.int8,
    "U8": np.uint8,
    "I32": np.int32,
}
SHAPES = [(1, 1), (1, 40), (40, 1), (64, 64), (300, 20), (20, 300), (1500, 48), (48, 1500), (2048, 7)]


def measured(values: np.ndarray[Any, Any], dtype: str, folder: Path) -> TensorStats:
    header = {"w.weight": {"dtype": dtype, "shape": list(values.shape), "data_offsets": [0, values.nbytes]}}
    (folder / "model.safetensors").write_bytes(safetensors_bytes(header, values.tobytes()))
    (row,) = weightscope.open(folder).stats(spectrum=True).tensors
    return row


def assert_as_svd(row: TensorStats, values: np.ndarray[Any, Any]) -> None:
    """Roy and Vetterli's definition, written out."""
    singular = np.linalg.svd(values.astype(np.float64), compute_uv=False)
    shares = singular / singular.sum()
    shares = shares[shares > 1e-13]
    assert row.spectrum is not None
    assert row.spectrum.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert row.spectrum.stable_rank == pytest.approx((singular**2).sum() / singular[0] ** 2, rel=1e-9)
    largest = row.spectrum.singular_values
    assert len(largest) == min(8, *values.shape)
    assert largest == pytest.approx(singular[:8], rel=1e-9, abs=1e-6 * singular[0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_random_matrices(dtype: str, shape: tuple[int, int], tmp_path: Path) -> None:
    values = (3 * np.random.default_rng(0).standard_normal(shape)).astype(TYPES[dtype])
    values[0, 0] = 1
    assert_as_svd(measured(values, dtype, tmp_path), values)


@pytest.mark.parametrize("shape", [(200, 64), (64, 200), (1300, 96)])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_low_rank(rank: int, shape: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(rank)
    values = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    row = measured(values, "F64", tmp_path)
    assert_as_svd(row, values)
    assert row.spectrum is not None
    assert row.spectrum.effective_rank <= rank
    assert all(value == 0 for value in row.spectrum.singular_values[rank:])


def test_literals(tmp_path: Path) -> None:
    """Four equal singular values are a rank of four; of 3 and 1, e^H is 1.7547 and the stable rank 10/9."""
    even = measured(np.diag([2.0, 2, 2, 2]), "F64", tmp_path).spectrum
    assert even is not None
    assert [even.effective_rank, even.stable_rank] == pytest.approx([4, 4])
    uneven = measured(np.diag([3.0, 1, 0]), "F64", tmp_path).spectrum
    assert uneven is not None
    assert uneven.effective_rank == pytest.approx(1.754765)
    assert uneven.stable_rank == pytest.approx(10 / 9)
    assert uneven.singular_values == pytest.approx((3, 1, 0))


def test_zeros_have_no_rank(tmp_path: Path) -> None:
    found = measured(np.zeros((8, 16), np.float32), "F32", tmp_path).spectrum
    assert found == spectrum.Spectrum(effective_rank=0, stable_rank=0, singular_values=(0.0,) * 8)


@pytest.mark.parametrize("scale", [1e-300, 1e-310, 1e150, 1e300])
def test_squares_beyond_float64(scale: float, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((40, 30))
    row = measured(values * scale, "F64", tmp_path)
    expected = np.linalg.svd(values, compute_uv=False)
    assert row.spectrum is not None
    assert row.spectrum.singular_values == pytest.approx(expected[:8] * scale, rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[np.nan, 1], [2, 3]]),
        np.array([[np.inf, 1], [2, 3]]),
        np.ones(4),
        np.ones((2, 3, 4)),
        np.ones((0, 4)),
        np.array(1.0),
    ],
)
def test_what_has_no_spectrum_is_null(values: np.ndarray[Any, Any], tmp_path: Path) -> None:
    assert measured(values, "F64", tmp_path).spectrum is None


def test_only_on_request(tmp_path: Path) -> None:
    save_file({"w": np.eye(4)}, tmp_path / "model.safetensors")
    found = weightscope.open(tmp_path).stats()
    assert (found.too_large, found.tensors[0].spectrum) == (None, None)


def test_too_large_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"large.weight": np.eye(20), "small.weight": np.eye(10)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(spectrum, "MOST", 15)
    found = weightscope.open(tmp_path).stats(spectrum=True)
    assert found.too_large == ("large.weight",)
    assert [row.name for row in found.tensors if row.spectrum] == ["small.weight"]


def test_a_wide_matrix_is_not_kept_if_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"wide.weight": np.ones((4, 100)), "tall.weight": np.ones((100, 4))}, tmp_path / "model.safetensors")
    monkeypatch.setattr(spectrum, "KEPT", 1000)
    assert weightscope.open(tmp_path).stats(spectrum=True).too_large == ("wide.weight",)


def test_an_interrupt_keeps_what_is_known(tmp_path: Path) -> None:
    save_file({f"{name}.weight": np.eye(10) for name in "abc"}, tmp_path / "model.safetensors")
    stop, calls = Event(), []

    def progress(done: int, total: int, name: str) -> None:
        calls.append(name)
        if len(calls) == 5:
            stop.set()

    found = weightscope.open(tmp_path).stats(spectrum=True, progress=progress, stop=stop)
    assert not found.complete
    assert [row.spectrum is not None for row in found.tensors] == [True, True, False]


def test_quantized_weights_as_they_act(tmp_path: Path) -> None:
    """Equal to NumPy's SVD of what weightscope hands out; codes have none."""
    folder = shutil.copytree(ROOT / "fixtures" / "qwen3-mlx-4bit", tmp_path / "m")
    model = weightscope.open(folder)
    rows = [row for row in model.stats(spectrum=True).tensors if row.quantization and len(row.shape) == 2]
    assert rows
    for row in rows[:3]:
        assert_as_svd(row, model.tensors[row.name].numpy(dequantize=True))
    stored = model.stats(spectrum=True, stored=True)
    packed = {row.name for row in rows}
    assert all(row.spectrum is None for row in stored.tensors if row.name in packed)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weightscope", "stats", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_table_json_and_csv(tmp_path: Path) -> None:
    save_file({"w.weight": np.diag([3.0, 1])}, tmp_path / "model.safetensors")
    shown = json.loads(run(str(tmp_path), "--spectrum", "--json").stdout)
    assert shown["too_large"] == []
    assert shown["tensors"][0]["spectrum"]["singular_values"] == pytest.approx([3, 1])
    (row,) = csv.DictReader(io.StringIO(run(str(tmp_path), "--spectrum", "-f", "csv").stdout))
    assert float(row["effective_rank"]) == pytest.approx(1.754765)
    assert float(row["stable_rank"]) == pytest.approx(10 / 9)
    assert [float(value) for value in row["singular_values"].split()] == pytest.approx([3, 1])
    for by in ("role", "layer", "tensor"):
        assert run("fixtures/llama", "--spectrum", "--by", by).stdout.count("Effective rank") == 2
    assert "87.7 %" in run(str(tmp_path), "--spectrum", "--by", "tensor").stdout


def test_no_spectrum_of_a_sample() -> None:
    done = run("fixtures/llama", "--spectrum", "--sample")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a spectrum needs all values" in done.stderr
