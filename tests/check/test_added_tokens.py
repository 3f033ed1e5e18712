"""Embedding rows of added tokens: as transformers' `resize_token_embeddings` leaves them, and as training does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

import weightscope
from weightscope.findings import Finding

BASE, ADDED = 500, 6
TABLE = "model.embed_tokens.weight"


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A model with 6 rows more than its tokenizer's own vocabulary, and a tokenizer that uses all of them."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, vocab_size=BASE + ADDED
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path, range(BASE, BASE + ADDED))
    return tmp_path


def write_tokenizer(folder: Path, added: range) -> None:
    content = {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": f"<{number}>", "special": True} for number in added],
        "model": {"type": "WordLevel", "vocab": {f"w{number}": number for number in range(BASE)}, "unk_token": "w0"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))


def found(folder: Path, change: Callable[[torch.Tensor], object]) -> list[Finding]:
    tensors = load_file(folder / "model.safetensors")
    change(tensors[TABLE])
    save_file(tensors, folder / "model.safetensors")
    findings = weightscope.open(folder).check(values=True)
    return [finding for finding in findings if finding.code == "convention-mismatch"]


def one_row(table: torch.Tensor) -> None:
    table[BASE:] = table[:BASE].mean(0)


def test_rows_of_their_own(llama: Path) -> None:
    assert found(llama, lambda table: None) == []


def test_one_row_for_all(llama: Path) -> None:
    (finding,) = found(llama, one_row)
    assert (finding.severity, finding.tensors) == ("warning", (TABLE,))
    assert finding.message.startswith("token_embedding: the rows of all 6 added tokens (ids 500 to 505) are alike")


def test_zeros(llama: Path) -> None:
    assert len(found(llama, lambda table: table[BASE:].zero_())) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_transformers_draws_them(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, vocab_size=BASE
    )
    model = LlamaForCausalLM(config)
    model.resize_token_embeddings(BASE + ADDED, mean_resizing=True)
    model.to(dtype).save_pretrained(tmp_path)
    write_tokenizer(tmp_path, range(BASE, BASE + ADDED))
    assert len(found(tmp_path, lambda table: None)) == 1


def test_padding_has_no_token(llama: Path) -> None:
    write_tokenizer(llama, range(0))
    assert found(llama, one_row) == []


def test_one_token_is_alike_to_none(llama: Path) -> None:
    write_tokenizer(llama, range(BASE, BASE + 1))
    assert found(llama, one_row) == []


def test_one_trained_token_among_them(llama: Path) -> None:
    def train(table: torch.Tensor) -> None:
        one_row(table)
        table[BASE + 2] = table[7]

    assert found(llama, train) == []


def test_ids_without_a_row_are_another_finding(llama: Path) -> None:
    write_tokenizer(llama, range(BASE + ADDED, BASE + ADDED + 3))
    assert found(llama, one_row) == []


def test_added_tokens_of_older_tokenizers(llama: Path) -> None:
    (llama / "tokenizer.json").unlink()
    (llama / "added_tokens.json").write_text(json.dumps({f"<{n}>": n for n in range(BASE, BASE + ADDED)}))
    assert len(found(llama, one_row)) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"added_tokens": 3, "model": {}}'])
def test_a_broken_tokenizer_is_another_finding(content: str, llama: Path) -> None:
    (llama / "tokenizer.json").write_text(content)
    assert found(llama, one_row) == []
