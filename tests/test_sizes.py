"""Integers that remember their config keys."""

from __future__ import annotations

import math
import operator
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from weightscope.sizes import Size, size

HEADS, DIM, WIDTH = Size(8, "num_key_value_heads"), Size(64, "head_dim"), Size(512, "hidden_size")
N = Size(3, "n")


@pytest.mark.parametrize(
    ("value", "number", "text", "keys"),
    [
        (HEADS * DIM, 512, "num_key_value_heads·head_dim", ("num_key_value_heads", "head_dim")),
        (WIDTH // HEADS, 64, "hidden_size/num_key_value_heads", ("hidden_size", "num_key_value_heads")),
        (WIDTH * 4, 2048, "4·hidden_size", ("hidden_size",)),
        (3 * WIDTH, 1536, "3·hidden_size", ("hidden_size",)),
        (DIM + HEADS, 72, "head_dim + num_key_value_heads", ("head_dim", "num_key_value_heads")),
        (1 + DIM, 65, "1 + head_dim", ("head_dim",)),
        (DIM - 1, 63, "head_dim - 1", ("head_dim",)),
        (HEADS * (DIM + 1), 520, "num_key_value_heads·(head_dim + 1)", ("num_key_value_heads", "head_dim")),
        (DIM + DIM + 1, 129, "2·head_dim + 1", ("head_dim",)),
        (DIM + DIM - DIM, 64, "head_dim", ("head_dim",)),
        (DIM - DIM, 0, "0", ("head_dim",)),
        (WIDTH + WIDTH + WIDTH, 1536, "3·hidden_size", ("hidden_size",)),
        (HEADS * DIM + DIM * HEADS, 1024, "2·num_key_value_heads·head_dim", ("num_key_value_heads", "head_dim")),
        (HEADS * DIM + N * DIM * 2, 896, "(num_key_value_heads + 2·n)·head_dim",
         ("num_key_value_heads", "head_dim", "n")),
        ((DIM + HEADS) * 2, 144, "2·(head_dim + num_key_value_heads)", ("head_dim", "num_key_value_heads")),
        ((DIM + HEADS) * N, 216, "(head_dim + num_key_value_heads)·n", ("head_dim", "num_key_value_heads", "n")),
        (HEADS * (WIDTH // HEADS), 512, "hidden_size", ("num_key_value_heads", "hidden_size")),
        (N * (WIDTH // HEADS), 192, "n·hidden_size/num_key_value_heads", ("n", "hidden_size", "num_key_value_heads")),
        (WIDTH // N, 170, "⌊hidden_size/n⌋", ("hidden_size", "n")),
        (N * (WIDTH // N), 510, "n·⌊hidden_size/n⌋", ("n", "hidden_size")),
        (HEADS * DIM // DIM, 8, "num_key_value_heads", ("num_key_value_heads", "head_dim")),
        ((DIM + HEADS) // 2, 36, "(head_dim + num_key_value_heads)/2", ("head_dim", "num_key_value_heads")),
        (WIDTH * 4 // 2, 1024, "2·hidden_size", ("hidden_size",)),
        ((WIDTH // HEADS) * (WIDTH // HEADS) + 1, 4097, "(hidden_size/num_key_value_heads)² + 1",
         ("hidden_size", "num_key_value_heads")),
        (Size(7), 7, "7", ()),
        (size(7), 7, "7", ()),
        (size(DIM), 64, "head_dim", ("head_dim",)),
    ],
)  # fmt: skip
def test_arithmetic_remembers(value: Size, number: int, text: str, keys: tuple[str, ...]) -> None:
    assert value == number
    assert (value.text, value.keys) == (text, keys)


EXPRESSIONS = st.recursive(
    st.sampled_from([HEADS, DIM, WIDTH, N, Size(2), 1, 4]),
    lambda inner: st.tuples(st.sampled_from("+-*/"), inner, inner),
    max_leaves=7,
)
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


def computed(expression: Any) -> Size:
    if not isinstance(expression, tuple):
        return size(expression)
    sign, left, right = expression
    return size(OPERATIONS[sign](computed(left), computed(right)))


def by_hand(text: str) -> Fraction:
    """The value of what is written, by Python's own arithmetic."""
    names = {"num_key_value_heads": 8, "head_dim": 64, "hidden_size": 512, "n": 3}
    text = text.replace("·", "*").replace("²", "**2").replace("³", "**3").replace("⌊", "floor(").replace("⌋", ")")
    text = re.sub(r"(?<!\*\*)\b(?!floor)\w+", lambda match: f"F({names.get(match[0], match[0])})", text)
    return Fraction(eval(text, {"F": Fraction, "floor": math.floor}))


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_what_is_written_has_the_value(expression: Any) -> None:
    try:
        value = computed(expression)
    except ZeroDivisionError:
        assume(False)
    assert by_hand(value.text) == value
    assert by_hand(f"3·{value.factor}") == 3 * int(value)


def test_a_part_of_a_size_is_a_float() -> None:
    assert (DIM * 0.25, 0.25 * DIM, DIM + 0.5, DIM // 0.5, DIM - 0.5) == (16.0, 16.0, 64.5, 128.0, 63.5)


def test_it_is_an_int_everywhere_else() -> None:
    assert [10, 20, 30][Size(1, "index")] == 20
    assert {5: 1}[Size(5, "a")] == 1
    assert f"{Size(4096, 'hidden_size'):,}" == "4,096"


@pytest.mark.parametrize("other", ["x" * 1000, b"x", [1] * 2000, (1,) * 2000], ids=lambda other: type(other).__name__)
def test_nothing_is_repeated_as_often_as_a_size_says(other: object) -> None:
    for compute in (operator.mul, operator.add, operator.floordiv, operator.sub):
        for pair in ((WIDTH, other), (other, WIDTH)):
            with pytest.raises(TypeError):
                compute(*pair)


def test_a_list_by_layers_is_repeated() -> None:
    assert ["mamba"] * Size(3, "num_hidden_layers") == Size(3, "num_hidden_layers") * ["mamba"] == ["mamba"] * 3
    with pytest.raises(TypeError):
        ["mamba"] * Size(1_000_001, "num_hidden_layers")
