"""The reserved state: against what vLLM's own rules gave for real sizes (fixtures/vllm), and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import weightscope
from tests.analyses.configs import opened, published
from weightscope.analyses.memory.state import DecodeState

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "fixtures" / "vllm" / "reserved.json").read_text())


def state_of(config: dict[str, Any], directory: Path, **asked: Any) -> DecodeState:
    state = opened(config, directory).memory(kv_dtype="bfloat16", dtype="bfloat16", **asked).state
    assert state
    return state


def named(case: dict[str, Any]) -> str:
    config = case["config"]
    return config if isinstance(config, str) else str(config["model_type"])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_as_much_is_reserved_as_vllm_reserves(case: dict[str, Any], tmp_path: Path) -> None:
    """The second figure of the fixture has what fills up groups of layers, which is not counted here."""
    config = published(case["config"]) if isinstance(case["config"], str) else case["config"]
    for context, (reserved, grouped) in case["reserved"].items():
        state = state_of(config, tmp_path, context=int(context), source_tokens=case["source_tokens"])
        assert state.total.reserved == reserved <= grouped


def test_pages_of_one_kind_of_layer() -> None:
    """100 tokens are 7 pages of 16."""
    found = weightscope.open(ROOT / "fixtures" / "llama").memory(context=100, batch=2).state
    assert found
    assert found.total.reserved == 2 * 7 * 16 * 96


def test_pages_of_windows(tmp_path: Path) -> None:
    """Gemma 2: 21 layers of all tokens; 21 of the last 4,095, the new one, and a page more: ⌈4,096/16⌉ + 1 = 257."""
    state = state_of(published("google__gemma-2-9b-it"), tmp_path, context=10000)
    page = 16 * 8 * (256 + 256) * 2
    assert [row.reserved for row in state.rows] == [21 * 257 * page, 21 * 625 * page]


def test_pages_as_large_as_a_recurrent_state(tmp_path: Path) -> None:
    """Qwen3.5: a delta net keeps 3 columns of its convolution; pages of keys get tokens until they are as large."""
    state = state_of(published("Qwen__Qwen3.5-27B"), tmp_path, context=10000)
    recurrent = 48 * 128 * 128 * 4 + 3 * (16 + 16 + 48) * 128 * 2
    small = 16 * 4 * (256 + 256) * 2
    tokens = 16 * -(-recurrent // small)
    page = tokens * 4 * (256 + 256) * 2
    assert recurrent <= page < recurrent + small
    assert state.total.reserved == 48 * page + 16 * -(-10000 // tokens) * page
