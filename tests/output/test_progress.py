"""The progress bar: only on a terminal, only after a second."""

from __future__ import annotations

import io
from itertools import chain, repeat

import pytest

from weightscope.output import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "seconds", "drawn"), [(Terminal(), 5.0, True), (Terminal(), 0.5, False), (io.StringIO(), 5.0, False)]
)
def test_when_it_is_drawn(stream: io.StringIO, seconds: float, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = chain([0.0], repeat(seconds))
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("weightscope.output.progress.time.monotonic", lambda: next(clock))
    monkeypatch.setenv("TERM", "xterm")
    with progress.Progress("Reading headers") as bar:
        bar(3, 163, "model-00004-of-000163.safetensors")
        bar(4, 163, "model-00005-of-000163.safetensors")
    assert ("Reading headers" in stream.getvalue()) is drawn
    assert ("4/163" in stream.getvalue()) is drawn


def test_names_move_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = Terminal(), chain([0.0], repeat(5.0))
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("weightscope.output.progress.time.monotonic", lambda: next(clock))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "400")
    with progress.Progress("Reading headers") as bar:
        bar(3, 163, "a\x1b]0;title\x07\x9b2J\u202e{0}[red]b" + "x" * 1_000_000)
    assert "a\\x1b]0;title\\x07\\x9b2J\\u202e{0}[red]bxxx" in stream.getvalue()
    assert not {"\x07", "\x9b", "\u202e"} & set(stream.getvalue())
    assert len(stream.getvalue()) < 10_000
