"""Parameters before and after, by component: against transformers, and as JSON, tables and Python have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

import weightscope as ws

ROOT = Path(__file__).parents[2]
LLAMA = ROOT / "fixtures" / "llama"


@pytest.fixture
def deeper(tmp_path: Path) -> Path:
    """The config of the fixture with five layers in place of three."""
    config = json.loads((LLAMA / "config.json").read_text())
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config | {"num_hidden_layers": 5}))
    return file


def counted_by_transformers(config: Path) -> dict[str, int]:
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(config))
    words = {"embedding": "embed_tokens", "attention": "self_attn", "mlp": "mlp", "head": "lm_head", "norm": "norm"}
    counts = dict.fromkeys(words, 0)
    for name, parameter in model.named_parameters():
        counts[next(component for component, word in words.items() if word in name)] += parameter.numel()
    return counts


def test_counts_of_both_sides_are_those_of_transformers(deeper: Path) -> None:
    found = ws.diff(LLAMA, deeper)
    a, b = counted_by_transformers(LLAMA / "config.json"), counted_by_transformers(deeper)
    assert {row.component: (row.a, row.b) for row in found.components} == {key: (a[key], b[key]) for key in a}
    assert (found.a.parameters, found.b.parameters) == (sum(a.values()), sum(b.values()))


def test_a_component_of_one_side_alone_and_auxiliary_layers() -> None:
    found = ws.diff(LLAMA, ROOT / "fixtures" / "deepseek-v3")
    rows = {row.component: (row.a, row.b) for row in found.components}
    assert rows["moe"] == (0, 8832)
    assert found.b.auxiliary == 23580 == rows["mtp"][1]


def test_the_table_is_there_where_counts_differ(run: Any, deeper: Path) -> None:
    _, out, _ = run("diff", str(LLAMA), str(deeper), "--format", "markdown")
    assert "- **B**: llama · config · 48 weights · 38,952 parameters\n" in out
    assert out.endswith(
        "\n## Parameters by component\n\n"
        "| Component | A | B | Change |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| embedding | 6,144 | 6,144 |  |\n"
        "| attention | 4,608 | 7,680 | +3,072 |\n"
        "| mlp | 11,232 | 18,720 | +7,488 |\n"
        "| norm | 168 | 264 | +96 |\n"
        "| head | 6,144 | 6,144 |  |\n"
        "| total | 28,296 | 38,952 | +10,656 |\n"
    )
    _, out, _ = run("diff", str(LLAMA), str(LLAMA))
    assert "by component" not in out


def test_json_has_them_always(run: Any, deeper: Path) -> None:
    shown = json.loads(run("diff", str(LLAMA), str(deeper), "--json")[1])
    assert shown["components"][1] == {"component": "attention", "a": 4608, "b": 7680}
    assert (shown["a"]["parameters"], shown["b"]["parameters"]) == (28296, 38952)
    assert shown["components"][0] == {"component": "embedding", "a": 6144, "b": 6144}
