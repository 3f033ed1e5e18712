"""Values on request: NumPy's figures, quantized weights as their libraries undo them, within bounds, and stopped."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.browse.session import FIXTURES, LLAMA, Session, browse
from tests.helpers import safetensors_bytes
from weightscope.api.model import Model
from weightscope.api.opening import open_model
from weightscope.browse.nodes import Listed
from weightscope.browse.values import MOST_WEIGHTS, Values, read_values
from weightscope.browse.values_document import values_documents
from weightscope.errors import WeightscopeError
from weightscope.output.layout import lay_out


def listed(model: Model, name: str) -> Listed:
    return next(Listed(group, row) for group, row in model.listing() if row.name == name)


def values(model: Model, name: str) -> Values:
    found = read_values(model.checkpoint, listed(model, name), lambda _: None, Event())
    assert found
    return found


def shown(found: Values, width: int) -> str:
    lines = [line for document in values_documents(found, width) for line in lay_out(document, width)]
    return "\n".join("".join(span.text for span in line) for line in lines)


@pytest.fixture
def drawn(tmp_path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """A file of drawn numbers, some of them odd."""
    draw = np.random.default_rng(7)
    matrix = draw.normal(0.5, 2, (300, 700)).astype(np.float32)
    matrix[:5, :3] = 0
    odd = np.array([1, -2, 0, np.nan, np.inf, -np.inf, 3, 0], np.float16)
    made: dict[str, np.ndarray[Any, Any]] = {
        "matrix.weight": matrix,
        "odd.weight": odd,
        "cube.weight": draw.normal(size=(3, 4, 5)),
        "empty.weight": np.zeros((0, 4), np.float32),
        "scalar.weight": np.array(2.5, np.float32),
    }
    save_file(made, tmp_path / "model.safetensors")
    return made


def test_figures_are_numpy_s(drawn: dict[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    found, matrix = values(open_model(tmp_path), "matrix.weight"), drawn["matrix.weight"].astype(np.float64)
    figures = found.figures
    assert figures.mean == pytest.approx(matrix.mean(), rel=1e-12)
    assert figures.std == pytest.approx(matrix.std(), rel=1e-12)
    assert (figures.min, figures.max) == (matrix.min(), matrix.max())
    assert (figures.zeros, figures.elements) == (15, 210_000)
    assert np.array_equal(np.array(found.corner), matrix[:8, :8])
    powers = np.floor(np.log2(np.abs(matrix[matrix != 0]))).astype(int)
    text = shown(found, 80)
    for power in (-3, 0, 2):
        assert f"2^{power} = {2.0**power:.3g}" in text
        assert f" {np.count_nonzero(powers == power):,} " in text
    assert f"Std    {matrix.std():.6g}" in text
    assert "15 of 210,000" in text


def test_what_is_not_finite_is_counted_apart(drawn: dict[str, Any], tmp_path: Path) -> None:
    assert drawn
    found = values(open_model(tmp_path), "odd.weight")
    text = shown(found, 200)
    # Of 1, -2, 0, 3 and 0.
    for line in (
        "Mean   0.4",
        "Min    -2",
        "Max    3",
        "Zeros  2 of 8",
        "NaN    1 of 8",
        "+Inf   1 of 8",
        "-Inf   1 of 8",
    ):
        assert line in text
    assert "first 8 of [8]" in text
    assert "nan" in text


def test_cubes_scalars_and_empty_tensors(drawn: dict[str, Any], tmp_path: Path) -> None:
    model = open_model(tmp_path)
    assert np.array_equal(np.array(values(model, "cube.weight").corner), drawn["cube.weight"][0])
    assert values(model, "scalar.weight").corner == ((2.5,),)
    empty = values(model, "empty.weight")
    assert (empty.figures.elements, empty.figures.mean) == (0, None)
    assert "Mean   –" in shown(empty, 80)


@pytest.mark.parametrize("width", [20, 44, 80, 200])
def test_the_corner_fits_the_width(width: int, drawn: dict[str, Any], tmp_path: Path) -> None:
    assert drawn
    corner = shown(values(open_model(tmp_path), "matrix.weight"), width).partition("Corner")[2].split("\n")
    assert max(map(len, corner)) <= max(width, 30)


def test_quantized_weights_are_shown_as_they_act() -> None:
    """DeepSeek's own rule in torch: each block of the matrix times its scale."""
    import torch
    from safetensors import safe_open

    model = open_model(FIXTURES / "deepseek-v3")
    name = "model.layers.1.mlp.experts.0.gate_proj.weight"
    found = values(model, name)
    with safe_open(FIXTURES / "deepseek-v3" / "model.safetensors", "pt") as file:
        stored, scale = file.get_tensor(name), file.get_tensor(f"{name}_scale_inv")
    config = json.loads((FIXTURES / "deepseek-v3" / "config.json").read_text())
    tall, wide = config["quantization_config"]["weight_block_size"]
    spread = scale.repeat_interleave(tall, 0).repeat_interleave(wide, 1)[: stored.shape[0], : stored.shape[1]]
    acts = (stored.to(torch.float32) * spread).to(torch.float64)
    assert found.figures.mean == pytest.approx(acts.mean().item(), rel=1e-9)
    assert found.figures.max == pytest.approx(acts.max().item(), rel=1e-9)
    assert found.corner[0] == pytest.approx(acts[0, :8].tolist())
    assert found.scheme == "FP8 in blocks of 8 × 8"
    # The scale itself is stored as it is.
    of_scale = values(model, f"{name}_scale_inv")
    assert of_scale.scheme == ""
    assert np.array_equal(np.array(of_scale.corner), scale.double().numpy())


def test_without_weights_a_line_says_so() -> None:
    async def test(session: Session) -> None:
        await session.type("q_proj")
        await session.shows("q_proj.weight")
        await session.press("v")
        await session.shows("no values here")

    browse(FIXTURES / "llama" / "config.json", test)


def test_a_method_that_undoes_only_whole_tensors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightscope.browse.values.MOST_WEIGHTS", 100)
    monkeypatch.setattr("weightscope.analyses.stats.reading.Source.is_whole", True)
    with pytest.raises(WeightscopeError, match="only as a whole"):
        values(open_model(FIXTURES / "deepseek-v3"), "model.layers.1.mlp.experts.0.gate_proj.weight")
    assert MOST_WEIGHTS * 4 <= 2 << 30


def test_the_key_reads_and_the_pane_keeps_what_was_read() -> None:
    async def test(session: Session) -> None:
        await session.press("v")
        await session.says("go to one first")
        await session.type("final_norm")
        await session.shows("model.norm.weight")
        await session.press("v")
        await session.shows("Corner")
        assert "Zeros  0 of 24" in session.detail
        await session.press("up")
        await session.until(lambda: "Corner" not in session.detail)
        await session.press("down")
        await session.shows("Corner")

    browse(LLAMA, test)


@pytest.fixture
def hole(tmp_path: Path) -> Path:
    """A tensor of 64 GB that takes no disk."""
    size = 1 << 36
    entry = {"dtype": "F32", "shape": [size // 4096 // 4, 4096], "data_offsets": [0, size]}
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes(json.dumps({"large.weight": entry, "small.weight": entry | {
        "shape": [1], "data_offsets": [size, size + 4]}})))  # fmt: skip
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size + 4)
    return path


def test_reading_is_stopped_by_escape_and_by_moving_on(hole: Path) -> None:
    async def test(session: Session) -> None:
        await session.type("large")
        await session.shows("large.weight")
        for key in ("escape", "down"):
            await session.press("v")
            await session.says("Reading values")
            # Keys are heard meanwhile.
            await session.press("t")
            await session.press(key)
            await session.until(lambda: not session.app.panes.is_reading)
            assert "Values" not in session.detail
        assert "Reading" not in session.app.status.text
        # And whoever leaves does not wait for it.
        await session.press("up", "v")
        await session.says("Reading values")
        await session.press("q")

    browse(hole, test)


def test_reading_takes_a_few_megabytes(hole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    model, stop, shares = open_model(hole), Event(), []

    def progress(share: float) -> None:
        shares.append(share)
        if len(shares) == 300:
            stop.set()

    tracemalloc.start()
    try:
        assert read_values(model.checkpoint, listed(model, "large.weight"), progress, stop) is None
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert shares == sorted(shares)
