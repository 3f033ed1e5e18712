"""A few vectors meet a matrix of another type a slab at a time, and get what torch's product with all of it gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import weightscope
from weightscope.components import weights
from weightscope.components.weights import MANY, SLAB, Weights, product, product_into
from weightscope.pool import converted

TOKENS = [7, 3, 99, 0, 42]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices are cut where one thread computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The tensors that were converted in one piece."""
    found: list[torch.Tensor] = []

    def noted(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        found.extend([tensor] * (tensor.dtype is not dtype))
        return converted(tensor, dtype)

    monkeypatch.setattr(weights, "converted", noted)
    return found


@pytest.mark.parametrize("vectors", [1, 2, MANY - 1, MANY])
@pytest.mark.parametrize("columns", [576, 2048])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_is_torch_s(vectors: int, columns: int, biased: bool, whole: list[Any]) -> None:
    rows = 2 * SLAB // columns + 75
    x, matrix = torch.randn(vectors, columns), torch.randn(rows, columns).bfloat16()
    bias = torch.randn(rows) if biased else None
    expected = torch.nn.functional.linear(x, matrix.float(), bias)
    # With MKL they are equal; another library may add in another order.
    torch.testing.assert_close(product(x, matrix, bias), expected, rtol=1e-5, atol=1e-4)
    assert len(whole) == (vectors == MANY)


@pytest.mark.parametrize(
    "matrix",
    [torch.randn(40, 8).bfloat16().T, torch.randn(8, 40), torch.randn(8, 80).bfloat16()[:, ::2]],
    ids=["turned", "of the same type", "every second column"],
)
def test_other_matrices_are_not_cut(matrix: torch.Tensor, monkeypatch: pytest.MonkeyPatch, whole: list[Any]) -> None:
    monkeypatch.setattr(weights, "SLAB", 40)
    x = torch.randn(3, 40)
    torch.testing.assert_close(product(x, matrix), torch.nn.functional.linear(x, matrix.float()))
    assert len(whole) == (matrix.dtype is torch.bfloat16)


def test_several_threads_do_not_meet_at_each_slab(monkeypatch: pytest.MonkeyPatch, whole: list[Any]) -> None:
    monkeypatch.setattr(weights, "SLAB", 40)
    torch.set_num_threads(2)
    x, matrix = torch.randn(3, 40), torch.randn(9, 40).bfloat16()
    torch.testing.assert_close(product(x, matrix), x @ matrix.float().T)
    assert len(whole) == 1


@pytest.mark.parametrize("vectors", [3, MANY])
def test_a_product_is_written_into_columns(vectors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SLAB", 40)
    x, matrix, out = torch.randn(vectors, 40), torch.randn(9, 40).bfloat16(), torch.zeros(vectors, 12)
    product_into(out[:, 2:11], x, matrix)
    torch.testing.assert_close(out, torch.nn.functional.pad(x @ matrix.float().T, (2, 1)))


def test_vectors_may_lie_in_several_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SLAB", 40)
    x, matrix = torch.randn(2, 3, 40), torch.randn(9, 40).bfloat16()
    torch.testing.assert_close(product(x, matrix), x @ matrix.float().T)
    torch.testing.assert_close(product(x[0, 0], matrix), matrix.float() @ x[0, 0])


def test_what_was_converted_is_kept_and_what_it_came_from_is_not(whole: list[Any]) -> None:
    stored = {"gate": torch.randn(4, 6).bfloat16(), "up": torch.randn(4, 6)}
    found = Weights(stored, torch.float32)
    assert "up" in found
    assert not whole
    assert found["gate"].dtype is torch.float32
    assert found["gate"] is found["gate"] is stored["gate"]
    assert (list(found), len(found), found.get("down"), len(whole)) == (["gate", "up"], 2, None, 1)


@pytest.mark.parametrize("name", ["llama-tied", "mixtral", "gpt2"])
def test_a_few_tokens_through_16_bit_weights(
    name: str, saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[torch.Tensor]
) -> None:
    directory = Path(shutil.copytree(saved(name), tmp_path / name))
    file = directory / "model.safetensors"
    save_file({key: tensor.bfloat16() for key, tensor in load_file(file).items()}, file, {"format": "pt"})
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(torch.tensor([TOKENS])).logits[0]
    monkeypatch.setattr(weights, "SLAB", 64)
    torch.testing.assert_close(weightscope.open(directory).forward(TOKENS).logits, expected, rtol=1e-4, atol=1e-5)
    # GPT-2's matrices lie the other way round.
    assert any(tensor.ndim > 1 for tensor in whole) == (name == "gpt2")
