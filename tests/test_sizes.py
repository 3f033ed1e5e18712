"""Integers that remember their config keys."""

from __future__ import annotations

import operator

import pytest

from weightscope.sizes import Size, size

HEADS, DIM, WIDTH = Size(8, "num_key_value_heads"), Size(64, "head_dim"), Size(512, "hidden_size")


@pytest.mark.parametrize(
    ("value", "number", "text", "keys"),
    [
        (HEADS * DIM, 512, "num_key_value_heads·head_dim", ("num_key_value_heads", "head_dim")),
        (WIDTH // HEADS, 64, "hidden_size/num_key_value_heads", ("hidden_size", "num_key_value_heads")),
        (WIDTH * 4, 2048, "hidden_size·4", ("hidden_size",)),
        (3 * WIDTH, 1536, "3·hidden_size", ("hidden_size",)),
        (DIM + HEADS, 72, "head_dim + num_key_value_heads", ("head_dim", "num_key_value_heads")),
        (1 + DIM, 65, "1 + head_dim", ("head_dim",)),
        (DIM - 1, 63, "head_dim - 1", ("head_dim",)),
        (HEADS * (DIM + 1), 520, "num_key_value_heads·(head_dim + 1)", ("num_key_value_heads", "head_dim")),
        (DIM + DIM + 1, 129, "head_dim + head_dim + 1", ("head_dim",)),
        (Size(7), 7, "7", ()),
        (size(7), 7, "7", ()),
        (size(DIM), 64, "head_dim", ("head_dim",)),
    ],
)
def test_arithmetic_remembers(value: Size, number: int, text: str, keys: tuple[str, ...]) -> None:
    assert value == number
    assert (value.text, value.keys) == (text, keys)


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
