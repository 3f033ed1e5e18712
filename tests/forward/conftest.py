"""Small models with what a person would have beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ROOT = Path(__file__).parents[2]
Change = Callable[[dict[str, torch.Tensor]], None]


@pytest.fixture
def changed(saved: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a tiny model with its tensors or its config changed."""

    def change(name: str, tensors: Change | None = None, **config: object) -> Path:
        directory = tmp_path / f"changed-{name}"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(saved(name), directory)
        if tensors:
            state = load_file(directory / "model.safetensors")
            tensors(state)
            save_file({key: value.contiguous() for key, value in state.items()}, directory / "model.safetensors")
        keys = json.loads((directory / "config.json").read_text()) | config
        (directory / "config.json").write_text(json.dumps(keys))
        return directory

    return change


def write_bytes_tokenizer(directory: Path) -> None:
    """A tokenizer.json of the 256 bytes, each a token: id = its place among the byte-level alphabet."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(directory / "tokenizer.json"))


@pytest.fixture
def with_tokenizer(tmp_path: Path) -> Path:
    """A copy of the Llama fixture (vocabulary 256) with a tokenizer of single bytes."""
    directory = tmp_path / "llama"
    shutil.copytree(ROOT / "fixtures" / "llama", directory)
    write_bytes_tokenizer(directory)
    return directory
