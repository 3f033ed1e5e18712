"""Names as hostile files hold them, in every format: all of it shows, no order gets out, and JSON is exact."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weightscope.analyses.checking import Checked, CheckResult
from weightscope.errors import UsageError, one_line
from weightscope.escapes import json_text, log_line, visible
from weightscope.findings import Finding
from weightscope.output.check import emit_check
from weightscope.output.document import Column, Document, Table
from weightscope.output.terminal import write_table
from weightscope.output.write import Format, render

# What it is, and how it is shown.
SPELLED = {
    "\x1b[2J": "\\x1b[2J",
    "\x07": "\\x07",
    "\x7f": "\\x7f",
    "\x85": "\\x85",
    "\x9b31m": "\\x9b31m",
    "\u200b": "\\u200b",
    "\u200e\u200f\u061c": "\\u200e\\u200f\\u061c",
    "\u2028\u2029": "\\u2028\\u2029",
    "\u202a\u202b\u202c\u202d\u202e": "\\u202a\\u202b\\u202c\\u202d\\u202e",
    "\u2066\u2067\u2068\u2069": "\\u2066\\u2067\\u2068\\u2069",
    "\u3164": "\\u3164",
    "\ufeff": "\\ufeff",
    "\ud800": "\\ud800",
    "\U000e0041": "\\U000e0041",
    "a##[error]b": "a#\\x23[error]b",
    "##vso[task.setvariable]": "#\\x23vso[task.setvariable]",
}
HOSTILE = st.text(st.characters(), max_size=12) | st.sampled_from([*SPELLED, "::error::x", "  ::error::x", "\n::x"])
# As actions/runner reads a line: `ActionCommand.TryParseV2` trims it, and `TryParse` looks for `##[` anywhere.
ORDER = re.compile(r"^\s*::|##\[|##vso\[|##teamcity\[")


def document(*names: str) -> Document:
    """All places of a document where text of others can stand."""
    first = names[0]
    finding = Finding(code="unexpected-tensor", severity="warning", message=first, tensors=names, hint=first)
    return Document(
        data={"names": names},
        title=first,
        subtitle=first,
        facts=((first, first),),
        table=Table(columns=(Column(title="Name", kind="name"), Column(title="Role")), rows=((first, first),) * 2),
        notes=(first,),
        findings=(finding,),
        closing=first,
    )


@pytest.mark.parametrize(("text", "shown"), SPELLED.items())
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown
    assert str(UsageError(text)) == shown


def test_what_prints_stays() -> None:
    text = "model.layers.{0–31}.é漢字🙂 [2, 3] × ·"
    assert visible(text) == text
    assert json.loads(json_text(text)) == text
    assert text in json_text(text)


@pytest.mark.parametrize("text", ["::error::x", "   ::error::x"])
def test_a_line_gives_no_orders(text: str) -> None:
    assert log_line(text) == text.replace("::error", "\\x3a:error")
    assert log_line("std::vector") == "std::vector"


@pytest.mark.parametrize("name", SPELLED)
def test_json_keeps_names_and_shows_them(name: str) -> None:
    text = json_text({name: [name, 1, None, {"a": name}]})
    assert json.loads(text) == {name: [name, 1, None, {"a": name}]}
    assert all(line.isprintable() for line in text.split("\n"))


def test_json_without_an_indent_is_one_line() -> None:
    assert json_text({"a": ["\ud800", 1.5]}, indent=None) == '{"a":["\\ud800",1.5]}'
    assert json_text({"a": ["\x7f", 1.5]}, indent=None) == '{"a":["\\u007f",1.5]}'


def test_json_has_null_for_what_is_no_number_beside_a_lone_surrogate() -> None:
    assert json.loads(json_text(["\ud800", float("nan"), (float("inf"), 1.0)])) == ["\ud800", None, [None, 1.0]]


@pytest.mark.parametrize("format", [*Format])
@settings(max_examples=60, deadline=None)
@given(name=HOSTILE)
def test_every_format_shows_all_and_orders_nothing(format: Format, name: str) -> None:
    text = render(document(name, "x"), format)
    text.encode()
    for line in text.split("\n"):
        assert line.isprintable()
        assert not ORDER.search(line), line


@settings(max_examples=60, deadline=None)
@given(name=HOSTILE, width=st.integers(1, 90))
def test_folding_makes_no_orders(name: str, width: int) -> None:
    class Narrow(io.StringIO):
        encoding = "utf-8"

    stream = Narrow()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        write_table(document(f"{'word ' * 20}{name} ::error::{name}"), stream)
    assert not [line for line in stream.getvalue().split("\n") if ORDER.search(line)]


@settings(max_examples=100, deadline=None)
@given(name=HOSTILE)
def test_json_gives_back_the_name(name: str) -> None:
    # Halves of a pair that stand side by side are the pair, to every reader of JSON.
    whole = name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(render(document(name), Format.JSON)) == {"names": [whole]}


def test_a_terminal_gets_no_codes_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    write_table(document("a\x1b[2J\x9b2J\u202eb\x07"), stream)
    styles = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "\x1b" not in styles
    assert all(line.isprintable() for line in styles.split("\n"))


CELLS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\\x09=1",
    "\r=1": "'\\x0d=1",
    "  =1": "'  =1",
    "＝1": "'＝1",
    "a=1": "a=1",
    "::error::x": "\\x3a:error::x",
    'a"b,c\nd': 'a"b,c\\x0ad',
}


def test_csv_texts_compute_nothing_and_numbers_are_untouched() -> None:
    rows: tuple[Any, ...] = (*((name, -1, -2.5, None) for name in CELLS),)
    columns = tuple(Column(title=title) for title in ("Name", "A", "B", "C"))
    table = Table(columns=columns, rows=rows)
    text = render(Document(data=None, title="", subtitle="", facts=(), table=table), Format.CSV)
    read = list(csv.reader(io.StringIO(text)))
    assert read[1:] == [[shown, "-1", "-2.5", ""] for shown in CELLS.values()]


def test_csv_of_findings_has_numbers_as_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(code="size-mismatch", severity="error", message="m", expected=-8, actual="-8")
    result = CheckResult(reference="m", ok=False, checked=Checked(tensors=1, rules=1), findings=(finding,))
    emit_check([result], "csv", None)
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["expected"], row["actual"]) == ("-8", "'-8")


def test_a_long_name_is_whole_in_csv_and_cut_in_a_line() -> None:
    name = "x" * 2000
    assert name in render(document(name), Format.CSV)
    assert len(one_line(name)) == 600
