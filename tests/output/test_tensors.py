"""Which tensors are shown, in what order and how many, against what the safetensors library reads."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tests.test_cli import in_terminal
from weightscope.analyses.selecting import Pattern, better_pattern, spans

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"


def shapes(fixture: str) -> dict[str, list[int]]:
    """Name and shape of every tensor, as the safetensors library reads them."""
    found = {}
    for file in sorted((FIXTURES / fixture).glob("*.safetensors")):
        with safe_open(file, "np") as opened:
            found.update({name: opened.get_slice(name).get_shape() for name in opened.keys()})  # noqa: SIM118
    return found


def rows(run: Any, *arguments: str) -> list[dict[str, Any]]:
    code, out, _ = run("tensors", *arguments, "--format", "json")
    assert code == 0
    return list(json.loads(out)["tensors"])


def test_the_ten_largest(run: Any) -> None:
    sizes = {name: prod(shape) for name, shape in shapes("llama").items()}
    listed = rows(run, "fixtures/llama", "--top", "10")
    assert [row["parameters"] for row in listed] == sorted(sizes.values(), reverse=True)[:10]
    assert all(sizes[row["name"]] == row["parameters"] for row in listed)


def test_the_table_of_the_ten_largest_names_the_same_ten(run: Any) -> None:
    names = [row["name"] for row in rows(run, "fixtures/deepseek-v3", "--top", "10")]
    shown = run("tensors", "fixtures/deepseek-v3", "--top", "10")[1]
    assert [line.split()[0] for line in shown.splitlines() if ".weight" in line] == names


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", ["h.1.attn.c_attn.bias", "h.2.attn.c_attn.bias", "h.10.attn.c_attn.bias"]),
        ("layer", ["h.1.attn.c_attn.bias", "h.2.attn.c_attn.bias", "h.10.attn.c_attn.bias"]),
    ],
)
def test_numbers_sort_as_numbers(sort: str, names: list[str], tmp_path: Path, run: Any) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({name: np.zeros(3, np.float32) for name in reversed(names)}, tmp_path / "model.safetensors")
    assert [row["name"] for row in rows(run, str(tmp_path), "--sort", sort)] == names


def test_what_is_in_no_layer_comes_last_by_layer(run: Any) -> None:
    layers = [row["layer"] for row in rows(run, "fixtures/llama", "--sort", "layer")]
    assert layers == [0] * 9 + [1] * 9 + [2] * 9 + [None] * 3


@pytest.mark.parametrize("fixture", ["llama", "gpt2", "deepseek-v3", "mixtral", "llava", "mini", "mini-tied",
                                     "qwen3-mlx-4bit"])  # fmt: skip
def test_what_is_listed_adds_up_to_what_is_counted(fixture: str, run: Any) -> None:
    counts = json.loads(run("inspect", f"fixtures/{fixture}", "--format", "json")[1])
    listed = rows(run, f"fixtures/{fixture}")
    assert sum(row["parameters"] for row in listed) == counts["parameters"]["total"] + counts["parameters"]["auxiliary"]
    assert sum(row["bytes"] for row in listed) == counts["bytes"]
    assert Counter(row["dtype"] for row in listed) == {d["dtype"]: d["tensors"] for d in counts["dtypes"]}


def test_a_file_s_column_is_as_wide_as_it_must_be(tmp_path: Path, run: Any) -> None:
    """61 shards of one layer each: a row over all of them says how many, not which."""
    import numpy as np
    from safetensors.numpy import save_file

    for shard in range(1, 62):
        save_file(
            {f"model.layers.{shard - 1}.mlp.up_proj.weight": np.zeros((2, 3), np.float32)},
            tmp_path / f"model-{shard:05}-of-00061.safetensors",
        )
    assert "  1.46 kB  61 shards\n" in run("tensors", str(tmp_path))[1]
    assert "   48 B  2 shards\n" in run("tensors", str(tmp_path), "--layer", "0-1")[1]
    shown = run("tensors", str(tmp_path), "--layer", "60")[1]
    assert "\n1 of 61 tensors, 6 parameters, 24 B, all in shard 61.\n" in shown


def test_files_without_numbers_go_by_their_names(tmp_path: Path, run: Any) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    weight_map = {"a.weight": "first.safetensors", "b.weight": "second.safetensors"}
    for name, file in weight_map.items():
        save_file({name: np.zeros((2, 3), np.float32)}, tmp_path / file)
    index = {"metadata": {"total_size": 48}, "weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    shown = run("tensors", str(tmp_path))[1]
    assert "24 B  first.safetensors\n" in shown
    assert "24 B  second.safetensors\n" in shown


@pytest.mark.parametrize(
    ("typed", "name", "fits"),
    [
        ("a.0.b", "a.0.b", True),
        ("a.{}.b", "a.17.b", True),
        ("a.{}.b", "a.x.b", False),
        ("a.{0–3}.b", "a.3.b", True),
        ("a.{0-3}.b", "a.4.b", False),
        ("a.{0–3,7}.b.{1}.*", "a.7.b.1.c", True),
        ("a.{0–3,7}.b.{1}.*", "a.7.b.2.c", False),
        ("a.[01].b", "a.1.b", True),
        ("a.[01].b", "a.[01].b", True),
        ("a.{x}.b", "a.{x}.b", True),
        ("a.{}.b", "a.{}.b", True),
        ("a?b*", "a.bcd", True),
        ("{0-99999999999}", "5", False),
    ],
)
def test_a_pattern_fits(typed: str, name: str, fits: bool) -> None:
    assert Pattern.of(typed).fits(name) == fits


def test_spans() -> None:
    assert spans("0–3,7") == ((0, 3), (7, 7))
    assert spans("") == ()


def test_a_better_pattern_does_match() -> None:
    names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.weight", "lm_head.weight"]
    assert better_pattern("q_proj", names) == ("*q_proj*", 2)
    assert better_pattern("*Q_PROJ", names) == ("*q_proj*", 2)
    assert better_pattern("model.layers.0.self_attn.q_prj.weight", names) == ("*q_proj*", 2)
    assert better_pattern("*zzz*", names) is None


PAGER = f"{sys.executable} -c \"import sys; print('paged', len(sys.stdin.read().splitlines()))\""


def test_a_long_list_goes_through_the_pager_of_a_terminal() -> None:
    shown = in_terminal(120, "tensors", "fixtures/llama", "--expand", PAGER=PAGER, LINES="24")
    assert shown == "paged 35\n"


@pytest.mark.parametrize(
    ("arguments", "pager"),
    [
        (["--expand", "--layer", "0"], PAGER),  # short
        ([], PAGER),  # folded
        (["--expand"], "no-such-pager"),
        (["--expand"], "'"),
    ],
)
def test_no_pager_no_harm(arguments: list[str], pager: str) -> None:
    shown = in_terminal(120, "tensors", "fixtures/llama", *arguments, PAGER=pager, LINES="24")
    assert "paged" not in shown
    assert "input_layernorm" in shown
    assert "Traceback" not in shown


def test_a_pager_that_leaves_early_is_no_error() -> None:
    head = f"{sys.executable} -c \"print('left')\""
    assert in_terminal(120, "tensors", "fixtures/deepseek-v3", "--expand", PAGER=head, LINES="24") == "left\n"


def test_a_pipe_is_never_paged(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PAGER", PAGER)
    assert "paged" not in run("tensors", "fixtures/llama", "--expand")[1]
