"""Slots split by what is decided of their modules."""

from __future__ import annotations

from itertools import product

import pytest

from weightscope.quantization.common.modules import Covered, Schemes, split, uneven
from weightscope.quantization.common.unread import Unread

ONE, TWO = (Unread(name=name, packed=".q", sides=()) for name in "12")


@pytest.mark.parametrize(
    ("plain", "pieces"),
    [
        (set(), [(ONE, [range(3), range(4)])]),
        ({f"m.{i}.e.{j}" for i in range(3) for j in range(4)}, [(None, [range(3), range(4)])]),
        ({"m.1.e.0", "m.1.e.1", "m.1.e.2", "m.1.e.3"}, [(ONE, [(0, 2), range(4)]), (None, [(1,), range(4)])]),
        ({"m.0.e.2", "m.2.e.2"},
         [(ONE, [(0, 2), (0, 1, 3)]), (None, [(0, 2), (2,)]), (ONE, [(1,), range(4)])]),
    ],
)  # fmt: skip
def test_exceptions_split_and_nothing_else(plain: set[str], pieces: object) -> None:
    found = split("m.{}.e.{}", (range(3), range(4)), lambda name: None if name in plain else ONE)
    assert [(scheme, list(ranges)) for scheme, ranges in found] == pieces
    decided = {f"m.{i}.e.{j}": scheme for scheme, ranges in found for i, j in product(*ranges)}
    assert decided == {f"m.{i}.e.{j}": None if f"m.{i}.e.{j}" in plain else ONE for i, j in product(range(3), range(4))}


def test_what_is_alike_within_a_layer_is_asked_once_a_layer() -> None:
    asked: list[str] = []

    def decide(name: str) -> Unread | None:
        asked.append(name)
        return ONE if "1" in name.split(".")[1] else None

    found = split("m.{}.e.{}", (range(61), range(256)), decide, deep=False)
    assert len(asked) == 61
    assert [ranges[1] for _, ranges in found] == [range(256)] * 2


def test_a_module_without_numbers() -> None:
    assert split("lm_head.weight", (), lambda name: ONE if name == "lm_head.weight" else None) == ((ONE, ()),)


def test_schemes_by_name() -> None:
    schemes = Schemes(
        [
            Covered(template="a.0.m.{}.w", ranges=((0, 2),), scheme=ONE),
            Covered(template="a.1.m.{}.w", ranges=(range(3),), scheme=TWO),
            Covered(template="a.0.m.{}.w", ranges=((1,),), scheme=TWO),
            Covered(template="head.w", ranges=(), scheme=ONE),
        ]
    )
    names = ["a.0.m.0.w", "a.0.m.1.w", "a.0.m.2.w", "a.0.m.3.w", "a.1.m.2.w", "a.2.m.0.w", "head.w", "other.w"]
    assert [schemes.of(name) for name in names] == [ONE, TWO, ONE, None, TWO, None, ONE, None]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, set()),
        ({"m.1.e.2.up": TWO}, {"m.{}.e.{}.up"}),
        ({"m.1.e.5.up": ONE}, {"m.{}.e.{}.up"}),
        ({"m.1.e.4.up": ONE}, {"m.{}.e.{}.up"}),
        ({"m.7.q": TWO}, set()),
    ],
)  # fmt: skip
def test_templates_that_differ_within_a_layer(changed: dict[str, Unread], found: set[str]) -> None:
    same = {f"m.{i}.e.{j}.up": ONE for i in range(3) for j in range(4)} | {f"m.{i}.q": ONE for i in range(3)}
    assert uneven(same | changed) == found
    missing = {name: scheme for name, scheme in same.items() if name != "m.2.e.1.up"}
    assert uneven(missing) == {"m.{}.e.{}.up"}
