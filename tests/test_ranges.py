"""Names with ranges."""

from __future__ import annotations

import itertools
import time

import pytest

from weightscope.ranges import (
    MAX_NUMBERS,
    Names,
    columns,
    expand,
    fill,
    holes,
    names_of,
    number_of,
    numbers_in,
    spell,
    summed,
    template_of,
)


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
        ("a.{}.3", "a.{{}}.{}", (3,)),
        ("a{.1.}}{0}", "a{{.{}.}}}}{{0}}", (1,)),
        ("a.007.b", "a.007.b", ()),
        ("a.٣.b", "a.٣.b", ()),
        ("a." + "9" * 4400 + ".1", "a." + "9" * 4400 + ".{}", (1,)),
        ("a.999999999.1234567890", "a.{}.1234567890", (999_999_999,)),
    ],
)
def test_template_of(name: str, template: str, numbers: tuple[int, ...]) -> None:
    assert template_of(name) == (template, numbers)
    assert list(expand(template, [[number] for number in numbers])) == [name]
    assert fill(template, [[number] for number in numbers]) == name
    assert template.format(*numbers) == name
    assert holes(template) == len(numbers)


def test_a_name_of_numbers_alone_has_few() -> None:
    name = ".".join(["0"] * 5000)
    template, numbers = template_of(name)
    assert numbers == (0,) * MAX_NUMBERS
    assert template.format(*numbers) == name


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("31", 31), ("031", None), ("9" * 4400, None), ("٣", None)])
def test_number_of(text: str, number: int | None) -> None:
    assert number_of(text) == number


def test_fill() -> None:
    assert fill("layers.{}.experts.{}.w", [[0, 1, 2], [4]]) == "layers.{0–2}.experts.4.w"
    assert fill("a{{}}.{}", [[0, 1]]) == "a{}.{0–1}"


def test_expand_runs_the_last_number_fastest() -> None:
    assert list(expand("a.{}.b.{}", [range(2), [5, 7]])) == ["a.0.b.5", "a.0.b.7", "a.1.b.5", "a.1.b.7"]


def test_columns() -> None:
    assert columns([(0, 5), (1, 5), (1, 7)]) == [{0, 1}, {5, 7}]


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["a.0.b", "a.1.b", "c"], {"a.{0–1}.b": ["a.0.b", "a.1.b"], "c": ["c"]}),
        (["a.0.0", "a.0.1", "a.2.0"], {"a.0.{0–1}": ["a.0.0", "a.0.1"], "a.2.0": ["a.2.0"]}),
        (["a.{0–99999999999}.b"], {"a.{0–99999999999}.b": ["a.{0–99999999999}.b"]}),
        (["a.{}.1", "a.{}.2"], {"a.{}.{1–2}": ["a.{}.1", "a.{}.2"]}),
    ],
)
def test_a_title_stands_for_exactly_its_names(names: list[str], titles: dict[str, list[str]]) -> None:
    assert {title: list(names_of(title)) for title in summed(names)} == titles


def test_titles_of_names_that_make_no_rectangle_take_time_in_proportion() -> None:
    names = [f"a.{i}.{j}" for i in range(20_000) for j in (i, i + 1)]
    start = time.process_time()
    titles = summed(names)
    assert time.process_time() - start < 2
    assert len(titles) == 20_000
    assert list(itertools.chain.from_iterable(map(names_of, titles))) == names


def test_names_are_made_when_they_are_asked_for() -> None:
    names = Names("a.{}.b{{}}.{}.c", [(0, 2), range(7, 9)])
    written = ["a.0.b{}.7.c", "a.0.b{}.8.c", "a.2.b{}.7.c", "a.2.b{}.8.c"]
    assert list(names) == written
    assert (len(names), names[0], names[-1], names[1:3]) == (4, written[0], written[-1], tuple(written[1:3]))
    assert all(name in names for name in written)
    others = ["a.1.b{}.7.c", "a.0.b{}.9.c", "a.00.b{}.7.c", "a.0.b.7.c", "a.{}.b{}.{}.c", "x.a.0.b{}.7.c", "a.0.b{}.7"]
    assert not any(name in names for name in others)


def test_names_without_numbers_are_one() -> None:
    names = Names("lm_head.weight", ())
    assert (list(names), len(names)) == (["lm_head.weight"], 1)
    assert "lm_head.weight" in names
    assert "lm_head.bias" not in names


def test_names_of_no_layer_are_none() -> None:
    assert not Names("a.{}.b", [()])
    assert list(Names("a.{}.b", [()])) == []


def test_a_number_that_the_template_states_is_a_word() -> None:
    """A multi-token-prediction layer's own number stands before its experts'."""
    names = Names("model.layers.61.mlp.experts.{}.up_proj.weight", [range(4)])
    assert "model.layers.61.mlp.experts.3.up_proj.weight" in names
    assert "model.layers.60.mlp.experts.3.up_proj.weight" not in names


@pytest.mark.parametrize(
    ("template", "name", "numbers"),
    [
        ("layers.{}.experts.expert_{}.w", "layers.1.experts.expert_3.w", (1, 3)),
        ("layers.{}.w", "layers.x.w", None),
        ("layers.{}.w", "layers.07.w", None),
        ("0.layers.{}", "0.layers.5", (5,)),
        ("a.{{}}.{}", "a.{}.3", (3,)),
        ("a+.{}", "aa.3", None),
        ("head", "head", ()),
    ],
)
def test_numbers_are_read_by_the_template(template: str, name: str, numbers: tuple[int, ...] | None) -> None:
    assert numbers_in(template, name) == numbers


def test_a_number_may_end_a_word() -> None:
    names = Names("layers.{}.experts.expert_{}.w", [(1, 3), range(4)])
    assert "layers.3.experts.expert_2.w" in names
    assert "layers.2.experts.expert_2.w" not in names
    assert all(name in names for name in names)
