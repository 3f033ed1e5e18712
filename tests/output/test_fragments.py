"""Documents as HTML, read by Python's own parser: text of others is text, and tables say what they are of."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import weightscope as ws
from tests.output.html import Reader
from weightscope.findings import Finding
from weightscope.output.document import Column, Document, Table
from weightscope.output.inspect import inspect_document
from weightscope.output.web.documents import document_html, facts_html, findings_html, table_html
from weightscope.output.web.elements import Markup, element, together
from weightscope.output.web.style import style

FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></td></table><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "&lt;b&gt;&#60;",
    "<!-- hidden",
    "]]><svg onload=alert(1)>",
    "\u202egnp.exe",
    "a\x00b\x1b[2J\ud800",
    "javascript:alert(1)",
]
TAGS = {
    "section", "h3", "p", "strong", "dl", "dt", "dd", "div", "table", "caption", "thead", "tbody", "tr", "th", "td",
    "svg", "rect", "code", "ul", "li", "span",
}  # fmt: skip
NAME, SHARE = Column(title="Name", kind="name"), Column(title="Share", kind="share")


def hostile_document(text: str) -> Document:
    return Document(
        data=None,
        title=text,
        subtitle=text,
        facts=((text, text),),
        table=Table(columns=(NAME, Column(title="Words")), rows=((text, text),)),
        notes=(text,),
        findings=(Finding(code="non-finite", severity="error", message=text, hint=text),),
        closing=text,
        verdict="ok",
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_stays_text(text: str) -> None:
    plain, hostile = Reader(document_html(hostile_document("x"))), Reader(document_html(hostile_document(text)))
    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes
    shown = text.encode("ascii", "backslashreplace").decode().replace("\0", r"\x00").replace("\x1b", r"\x1b")
    assert [word.strip() for word in hostile.words].count(shown) == 11


@pytest.mark.parametrize("text", HOSTILE)
def test_an_attribute_holds_whatever_it_is_given(text: str) -> None:
    (found,) = Reader(element("p", title=text)).attributes
    shown = text.encode("ascii", "backslashreplace").decode().replace("\0", r"\x00").replace("\x1b", r"\x1b")
    assert found == ("title", shown)


def test_elements() -> None:
    assert element("p", "a<b", Markup("<i>c</i>"), class_="x", aria_hidden="true", width=1.5, id=None) == (
        '<p class="x" aria-hidden="true" width="1.5">a&lt;b<i>c</i></p>'
    )
    assert element("rect", x=100, y=0.0, width=-2.345) == '<rect x="100" y="0" width="-2.35"/>'
    assert element("td") == "<td></td>"
    assert together("<", Markup("<b></b>")) == "&lt;<b></b>"
    assert len(element("p", "x" * 10_000)) < 1_000


def table_of(html: str) -> ET.Element:
    table = ET.fromstring(html.partition("<p")[0]).find("table")
    assert table is not None
    return table


def test_a_table_says_which_cells_are_headings() -> None:
    columns = (Column(title="Component"), Column(title="Role"), Column(title="Parameters", kind="count"), SHARE)
    rows = (("attention", "", 12_000, 0.25), ("", "q_proj", 3, None))
    html = table_html(Table(columns=columns, rows=rows, weights=("strong", "plain"), bars=True), caption="a model")
    table = table_of(html)
    assert table.findtext("caption") == "a model"
    assert [heading.text for heading in table.findall("thead/tr/th[@scope='col']")] == [c.title for c in columns]
    body = table.findall("tbody/tr")
    assert [row.findtext("th[@scope='row']") for row in body] == ["attention", "q_proj"]
    assert [row.get("class") for row in body] == ["ws-strong", None]
    assert [cell.text for cell in body[0].findall("td[@class='ws-number']")] == ["12,000", "25.0 %"]
    (bar,) = table.iter("rect")
    assert bar.get("width") == "25"


def test_names_are_code_and_long_tables_are_cut() -> None:
    rows = tuple((f"layer.{number}", 0.5) for number in range(10))
    html = table_html(Table(columns=(NAME, SHARE), rows=rows), caption="names", most=3)
    assert [code.text for code in table_of(html).iter("code")] == ["layer.0", "layer.1", "layer.2"]
    assert html.endswith('<p class="ws-note">and 7 more rows</p>')


def test_facts_without_a_label_belong_to_the_one_before() -> None:
    list_ = ET.fromstring(facts_html([("Parts", "a"), ("", "b"), ("Stored", "c")]))
    assert [(part.tag, part.text) for part in list_] == [
        ("dt", "Parts"), ("dd", "a"), ("dd", "b"), ("dt", "Stored"), ("dd", "c"),
    ]  # fmt: skip


def test_many_findings_are_cut() -> None:
    finding = Finding(code="all-zero", severity="warning", message="zeros")
    html = findings_html([finding] * 5, most=2)
    assert html.count("<li>") == 2
    assert html.endswith('<p class="ws-note">and 3 more findings</p>')


@pytest.mark.parametrize("name", ["llama", "deepseek-v3", "mini", "llava"])
def test_a_model_is_a_document(name: str) -> None:
    summary = ws.open(FIXTURES / name).summary()
    reader = Reader(document_html(inspect_document(summary), level=3))
    assert reader.tags.count("h3") == 1
    assert set(reader.tags) <= TAGS
    assert not [key for key, _ in reader.attributes if key == "style" or key.startswith("on")]
    assert {share.component for share in summary.components} <= set(reader.words)


def test_the_style_pulls_in_nothing_and_touches_nothing_else() -> None:
    sheet = style()
    assert "url(" not in sheet
    assert "@import" not in sheet
    rules = [line for line in sheet.splitlines() if "{" in line]
    assert [rule for rule in rules if not rule.lstrip().startswith((".weightscope", ".ws-", "@container"))] == []


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted([luminance(a), luminance(b)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_coloured_words_read_on_light_and_on_dark_ground(ground: str) -> None:
    colours = re.findall(r"\{ color: (#[0-9a-f]{6}); \}", style())
    assert len(colours) == 4
    assert [colour for colour in colours if contrast(colour, ground) < 4.3] == []
