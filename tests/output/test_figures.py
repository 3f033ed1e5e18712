"""Figures against the numbers that they show, read by Python's XML parser and by Pillow."""

from __future__ import annotations

import base64
import io
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.output.html import SVG, rectangles, svg
from weightscope.output.figures.axes import LogScale
from weightscope.output.figures.frame import WIDTH, Box
from weightscope.output.figures.heatmap import blocks_of, heatmap
from weightscope.output.figures.histogram import histogram
from weightscope.output.figures.profile import Line, profile
from weightscope.output.figures.squarify import squarify
from weightscope.output.figures.stages import Bar, stage_bars
from weightscope.output.figures.treemap import HEIGHT, Area, treemap

SIZES = st.lists(st.floats(1, 1e6), min_size=1, max_size=40).map(lambda sizes: sorted(sizes, reverse=True))


@settings(max_examples=200, deadline=None)
@given(SIZES, st.floats(10, 1000), st.floats(10, 1000))
def test_areas_are_as_sizes_and_fill_the_box_without_overlap(sizes: list[float], width: float, height: float) -> None:
    boxes = squarify(sizes, Box(0, 0, width, height))
    for size, box in zip(sizes, boxes, strict=True):
        assert math.isclose(box.width * box.height, size / sum(sizes) * width * height, rel_tol=1e-6)
        assert box.x >= -1e-6
        assert box.right <= width + 1e-6
        assert box.y >= -1e-6
        assert box.bottom <= height + 1e-6
    for a, b in combinations(boxes, 2):
        wide, high = min(a.right, b.right) - max(a.x, b.x), min(a.bottom, b.bottom) - max(a.y, b.y)
        assert wide <= 1e-6 or high <= 1e-6


def test_the_example_of_the_paper() -> None:
    """Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000), figure 4: 6, 6, 4, 3, 2, 2, 1 in a box of 6 by 4."""
    boxes = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert boxes[:2] == [Box(0, 0, 3, 2), Box(0, 2, 3, 2)]
    assert [pytest.approx(tuple(box)) for box in boxes[2:4]] == [(3, 0, 12 / 7, 7 / 3), (3 + 12 / 7, 0, 9 / 7, 7 / 3)]


def parts(*sizes: float) -> tuple[Area, ...]:
    return tuple(Area(label=f"part {place}", size=size, amount=f"{size:g}") for place, size in enumerate(sizes))


def test_a_treemap_shows_each_part_as_its_share() -> None:
    areas = (
        Area(label="attention", size=300, amount="30 %", kind="ws-attention", parts=parts(200, 100)),
        Area(label="mlp", size=700, amount="70 %", kind="ws-mlp"),
        Area(label="nothing", size=0, amount="0 %"),
    )
    root = svg(treemap(areas, title="A model", description="Shares."))
    tiles = rectangles(root, "ws-tile")
    assert [width * height for _, _, width, height in tiles] == pytest.approx(
        [share * WIDTH * HEIGHT for share in (0.7, 0.2, 0.1)], rel=1e-3
    )
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert titles == ["mlp 70 %", "attention: part 0 200", "attention: part 1 100"]
    assert "nothing 0 %" not in [text.text for text in root.iter(f"{SVG}text")]


def test_a_treemap_of_very_many_parts_draws_the_rest_as_one() -> None:
    area = Area(label="moe", size=5_000, amount="", parts=parts(*[1] * 5_000))
    root = svg(treemap((area,), title="Many", description=""))
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert len(titles) == 200
    assert titles[0] == "moe: 4,801 more"


def test_a_label_has_the_room_of_its_tile() -> None:
    areas = (
        Area(label="a_label_of_some_length", size=10, amount=""),
        Area(label="another_label_of_some_length", size=0.02, amount=""),
        Area(label="one_more_label_of_some_length", size=0.3, amount=""),
    )
    root = svg(treemap(areas, title="Labels", description=""))
    inner = [text.text for tile in root.iter(f"{SVG}svg") if tile is not root for text in tile.iter(f"{SVG}text")]
    assert "a_label_of_some_length" in inner
    assert not [text for text in inner if text and text.startswith("another")]
    assert all(len(text or "") < 23 for text in inner)


def test_hostile_names_stay_text_in_a_figure() -> None:
    name = "</title><script>alert(1)</script>\x1b"
    root = svg(treemap((Area(label=name, size=1, amount=name),), title=name, description=name))
    assert root.findtext(f"{SVG}title") == name.replace("\x1b", r"\x1b")


def test_a_histogram_is_as_high_as_its_counts() -> None:
    root = svg(histogram([0, 1, 50, 100, 100_000], list("abcde"), title="Magnitudes", description="By powers of two."))
    heights = [height for *_, height in rectangles(root, "ws-fill")]
    assert heights == pytest.approx([0, 1, 1, 1, 150], abs=0.01)
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert titles == ["a: 0", "b: 1", "c: 50", "d: 100", "e: 100,000"]


def test_a_histogram_of_nothing() -> None:
    svg(histogram([], [], title="Magnitudes", description=""))
    svg(histogram([0, 0], ["a", "b"], title="Magnitudes", description=""))


def test_equal_ratios_are_equal_distances() -> None:
    scale = LogScale.of([0.01, None, 100.0, 0.0, math.inf], Box(0, 0, 100, 400))
    places = [scale.y(value) for value in (0.01, 1.0, 100.0)]
    assert places[0] - places[1] == pytest.approx(places[1] - places[2])
    assert list(scale.ticks()) == pytest.approx([0, 0.01, 0.1, 1, 10, 100])


def test_zero_is_below_all_other_numbers() -> None:
    with_zeros, without = (LogScale.of([0.01, 100.0, *more], Box(0, 0, 100, 400)) for more in ([0.0], []))
    assert with_zeros.y(0.0) == without.y(0.0) == 400
    assert with_zeros.y(1e-9) == 370
    assert without.y(1e-9) == 400
    assert 0 not in list(without.ticks())
    root = svg(profile([Line(label="q_proj", values=(1.0, 0.0))], ["0", "1"], title="RMS", description=""))
    assert "0" in [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "ws-tick"]


@pytest.mark.parametrize(
    "values", [[], [0.0], [1e-308, 1e308], [5e-324], [0.99, 1.01], [0.3, 0.4], [1e-3, 1e4], [1.0, 1.0], [1.7e308]]
)
def test_a_scale_of_whatever_there_is(values: list[float]) -> None:
    scale = LogScale.of(values, Box(0, 0, 100, 400))
    assert scale.low < scale.high
    assert all(0 <= tick < math.inf for tick in scale.ticks())
    assert len(list(scale.ticks())) <= 8
    assert all(0 <= scale.y(value) <= 400 for value in values)


def test_a_profile_marks_what_stands_out() -> None:
    line = Line(label="q_proj", values=(1.0, 1.0, 10.0, None, 1.0), marked=(2,))
    root = svg(profile([line], list("01234"), title="RMS", description="By layer."))
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert titles == [f"q_proj, layer {n}: {v}" for n, v in enumerate(["1", "1", "10", "not finite", "1"])]
    marks = [part for part in root.iter(f"{SVG}circle") if part.get("class") == "ws-mark"]
    assert len(marks) == 2
    (path,) = root.iter(f"{SVG}path")
    assert [step[0] for step in path.get("d", "").replace("M", " M").replace("L", " L").split() if step[0] in "ML"] == [
        "M", "L", "L", "M",
    ]  # fmt: skip


def test_bars_of_stages() -> None:
    kinds = [("ws-attention", "attention")]
    bars = [Bar(name=f"layer {n}", short=str(n), rms=rms) for n, rms in enumerate([1.0, 100.0, 0.0, None])]
    root = svg(stage_bars(bars, kinds, title="RMS", description="By stage."))
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert titles == ["layer 0: RMS 1", "layer 1: RMS 100", "layer 2: RMS 0", "layer 3: NaN or infinity"]
    legend = [text.text for text in root.iter(f"{SVG}text")][-2:]
    assert legend == ["attention", "NaN or infinity"]
    assert len(rectangles(root, "ws-broken")) == 2


def test_of_very_many_stages_the_largest_are_shown_and_what_is_broken() -> None:
    bars = [Bar(name=f"stage {n}", short=str(n), rms=None if n == 501 else 1.0) for n in range(5_000)]
    root = svg(stage_bars(bars, [], title="RMS", description=""))
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert len(titles) <= 320
    assert "stage 501: NaN or infinity" in titles


def picture(figure: str) -> np.ndarray[Any, Any]:
    (image,) = svg(figure).iter(f"{SVG}image")
    content = base64.b64decode(image.get("href", "").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_heatmap_has_a_point_for_each_value() -> None:
    matrix = np.array([[0.0, 1.0, -2.0], [np.nan, np.inf, 0.0]], dtype=np.float32)
    pixels = picture(heatmap(matrix, title="q_proj", description="A matrix."))
    dark, bright, red = [68, 1, 84], [253, 231, 37], [255, 0, 0]
    assert pixels.shape == (2, 3, 3)
    assert pixels[0, 0].tolist() == pixels[1, 2].tolist() == dark
    assert pixels[0, 2].tolist() == bright
    assert pixels[1, 0].tolist() == pixels[1, 1].tolist() == red


def test_a_large_matrix_is_put_together_in_blocks() -> None:
    matrix = np.random.default_rng(0).normal(size=(600, 301)).astype(np.float32)
    matrix[599, 300] = np.nan
    blocks, size = blocks_of(matrix)
    assert size == (3, 2)
    assert blocks.shape == (200, 151)
    assert blocks[10, 20] == pytest.approx(np.sqrt(np.mean(matrix[30:33, 40:42].astype(float) ** 2)))
    assert blocks[10, 150] == pytest.approx(np.sqrt(np.mean(matrix[30:33, 300:].astype(float) ** 2)))
    assert np.isnan(blocks[199, 150])
    figure = heatmap(matrix, title="q_proj", description="A matrix.")
    assert "blocks of 3 × 2" in figure
    assert picture(figure).shape == (200, 151, 3)


@pytest.mark.parametrize("shape", [(1, 3_000_001), (3_000_001, 1), (700, 5_000), (257, 255)])
def test_blocks_are_whole_however_the_matrix_is_cut(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    blocks, (high, wide) = blocks_of(matrix)
    assert np.isfinite(blocks).all()
    for row, column in {(0, 0), (len(blocks) // 2, blocks.shape[1] // 2), (len(blocks) - 1, blocks.shape[1] - 1)}:
        block = matrix[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        assert blocks[row, column] == pytest.approx(np.sqrt(np.mean(block**2)))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_a_small_matrix(shape: tuple[int, int]) -> None:
    svg(heatmap(np.zeros(shape), title="q_proj", description=""))
