"""The same number is the same in every command: counts, bytes, and percentages as they are printed."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import pytest

FIXTURES = ["llama", "gpt2", "deepseek-v3", "mixtral", "llava", "mini", "mini-tied", "qwen3-mlx-4bit"]
ROW = re.compile(r"^(.*?) +([\d,]+) +([\d,]+) +([<>]? ?[\d.]+ %)(?: |$)")


def printed(text: str) -> list[tuple[list[str], str, str, str]]:
    """Words, tensors, parameters and percentage of each row that has a percentage."""
    matches = (ROW.match(line) for line in text.splitlines())
    return [(re.split(r"  +", match[1]), match[2], match[3], match[4]) for match in matches if match]


def percentage(part: int, whole: int) -> str:
    """By hand: tenths of a percent, rounded half to even, once."""
    share = Fraction(part, whole) * 100
    if 0 < share < Fraction(5, 100):
        return "< 0.1 %"
    if Fraction(9995, 100) <= share < 100:
        return "> 99.9 %"
    return f"{float(share):.1f} %"


@pytest.mark.parametrize("fixture", FIXTURES)
def test_inspect_and_params_print_the_same_of_each_component(fixture: str, run: Any) -> None:
    inspected = [row for row in printed(run("inspect", f"fixtures/{fixture}")[1]) if row[0][0]]
    by_component = printed(run("params", f"fixtures/{fixture}")[1])
    assert [(row[0][0].removesuffix(" ~"), *row[1:]) for row in inspected] == [
        (row[0][0].removesuffix(" ~"), *row[1:]) for row in by_component
    ]


@pytest.mark.parametrize("by", ["component", "role", "layer", "dtype", "module"])
@pytest.mark.parametrize("fixture", FIXTURES)
def test_percentages_are_rounded_once(by: str, fixture: str, run: Any) -> None:
    counts = json.loads(run("params", f"fixtures/{fixture}", "--by", by, "--json")[1])
    whole = counts["parameters"]["total"] + counts["parameters"]["auxiliary"]
    rows = printed(run("params", f"fixtures/{fixture}", "--by", by, "--exact")[1])
    assert rows
    for _, _, parameters, share in rows:
        assert share == percentage(int(parameters.replace(",", "")), whole)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_a_role_is_the_sum_of_its_components(fixture: str, run: Any) -> None:
    sums: dict[str, list[int]] = {}
    for component in json.loads(run("inspect", f"fixtures/{fixture}", "--json")[1])["components"]:
        for role in component["roles"]:
            amounts = sums.setdefault(role["role"], [0, 0, 0])
            for place, key in enumerate(("tensors", "parameters", "bytes")):
                amounts[place] += role[key]
    rows = json.loads(run("params", f"fixtures/{fixture}", "--by", "role", "--json")[1])["rows"]
    assert {row["name"]: [row["tensors"], row["parameters"], row["bytes"]] for row in rows} == sums


@pytest.mark.parametrize("fixture", FIXTURES)
def test_explain_prints_the_share_that_params_would(fixture: str, run: Any) -> None:
    model = f"fixtures/{fixture}"
    counts = json.loads(run("params", model, "--json")[1])["parameters"]
    whole = counts["total"] + counts["auxiliary"]
    for tensor in json.loads(run("tensors", model, "--json")[1])["tensors"][:12]:
        explained = json.loads(run("explain", model, tensor["name"], "--json")[1])["tensor"]
        assert explained["parameters"] == tensor["parameters"]
        if tensor["parameters"]:
            assert f"   {percentage(tensor['parameters'], whole)} of " in run("explain", model, tensor["name"])[1]
