"""A list that is written as its items come: the same JSON, and never more of it in memory than a few items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from weightscope.output.document import Document, Table
from weightscope.output.streamed import TOGETHER, Streamed
from weightscope.output.write import Format, emit

HEAD: dict[str, object] = {"schema_version": 1, "model": {"notes": [], "name": "0"}}


def document(items: Iterator[object]) -> Document:
    return Document(
        data=Streamed(HEAD, "tensors", items), title="", subtitle="", facts=(), table=Table(columns=(), rows=())
    )


def row(number: int) -> dict[str, object]:
    return {"name": f"layers.{number}.weight", "shape": [number, 2], "roles": [], "layer": None}


@pytest.mark.parametrize("count", [0, 1, 2, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER])
def test_it_is_what_json_writes(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(number) for number in range(count)]
    emit(document(iter(rows)), Format.JSON, None)
    assert capsys.readouterr().out == json.dumps({**HEAD, "tensors": rows}, indent=2) + "\n"


@pytest.mark.parametrize("name", ["\ud800", "\u202e", "é", "\x7f", "##[error]", "]\n}", '"0"'])
def test_names_of_any_kind(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": name if number == TOGETHER else "a"} for number in range(TOGETHER + 2)]
    emit(document(iter(rows)), Format.JSON, None)
    out = capsys.readouterr().out
    assert json.loads(out) == {**HEAD, "tensors": rows}
    assert all(line.isprintable() for line in out.split("\n"))
    assert "##[" not in out


def test_items_are_made_as_they_are_written(tmp_path: Path) -> None:
    """Each is told of when it is made and when it is gone."""
    alive = most = 0

    class Item(dict[str, int]):
        def __init__(self) -> None:
            nonlocal alive, most
            super().__init__(a=1)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    emit(document(Item() for _ in range(10 * TOGETHER)), Format.JSON, tmp_path / "out")
    assert most <= 2 * TOGETHER
    assert len(json.loads((tmp_path / "out").read_text())["tensors"]) == 10 * TOGETHER


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before")

    def fail() -> Iterator[object]:
        yield from ({} for _ in range(3 * TOGETHER))
        raise MemoryError

    with pytest.raises(MemoryError):
        emit(document(fail()), Format.JSON, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "before"


def test_the_command_lists_what_the_other_formats_list(run: Any) -> None:
    tensors = json.loads(run("tensors", "fixtures/deepseek-v3", "--format", "json")[1])["tensors"]
    lines = run("tensors", "fixtures/deepseek-v3", "--format", "csv")[1].splitlines()[1:]
    assert [tensor["name"] for tensor in tensors] == [line.split(",")[0] for line in lines]
    several = json.loads(run("tensors", "fixtures/deepseek-v3", "fixtures/llama", "--format", "json")[1])["models"]
    assert several[0]["tensors"] == tensors
    some = json.loads(run("tensors", "fixtures/deepseek-v3", "--role", "router", "--format", "json")[1])["tensors"]
    assert some == [tensor for tensor in tensors if "router" in tensor["roles"]]
    top = json.loads(run("tensors", "fixtures/deepseek-v3", "--top", "3", "--format", "json")[1])["tensors"]
    assert top == sorted(tensors, key=lambda tensor: (-tensor["parameters"], -tensor["bytes"]))[:3]
    assert json.loads(run("tensors", "fixtures/llama", "--role", "router", "--format", "json")[1])["tensors"] == []
