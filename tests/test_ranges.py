"""Names with ranges."""

from __future__ import annotations

import pytest

from weightscope.ranges import columns, expand, fill, spell, template_of


@pytest.mark.parametrize(
    ("indices", "text"),
    [([], ""), ([3], "3"), ([0, 1], "0–1"), ([5, 0, 1, 2, 7, 8, 2], "0–2,5,7–8"), (range(61), "0–60")],
)
def test_spell(indices: list[int], text: str) -> None:
    assert spell(indices) == text


@pytest.mark.parametrize(
    ("name", "template", "numbers"),
    [
        ("model.layers.12.mlp.experts.7.w1.weight", "model.layers.{}.mlp.experts.{}.w1.weight", (12, 7)),
        ("0.weight", "{}.weight", (0,)),
        ("conv1d.h2.3", "conv1d.h2.{}", (3,)),
        ("lm_head.weight", "lm_head.weight", ()),
    ],
)
def test_template_of(name: str, template: str, numbers: tuple[int, ...]) -> None:
    assert template_of(name) == (template, numbers)
    assert list(expand(template, [[number] for number in numbers])) == [name]


def test_fill() -> None:
    assert fill("layers.{}.experts.{}.w", [[0, 1, 2], [4]]) == "layers.{0–2}.experts.4.w"


def test_expand_runs_the_last_number_fastest() -> None:
    assert list(expand("a.{}.b.{}", [range(2), [5, 7]])) == ["a.0.b.5", "a.0.b.7", "a.1.b.5", "a.1.b.7"]


def test_columns() -> None:
    assert columns([(0, 5), (1, 5), (1, 7)]) == [{0, 1}, {5, 7}]
