"""Markdown against markdown-it's reading of it: text of others is text, whole, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from weightscope.errors import one_line
from weightscope.escapes import visible
from weightscope.findings import Finding
from weightscope.output.document import Column, Document, Table
from weightscope.output.markdown import code, inline, to_markdown

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "[click](http://evil.example)",
    "![pixel](//evil.example/a.png)",
    "[a]: http://evil.example",
    "[24, 24]: http://evil.example",
    "[24](x)",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden",
    "&lt;b&gt; &#42;",
    "a`b",
    "`a`",
    "``",
    "``a```b",
    "a|b",
    "a\\|b",
    "a\\",
    "|",
    "*a* _b_ __c__ ~~d~~ ~e~",
    "__init__",
    "a_b_c",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "1) item",
    "---",
    "===",
    "```sh",
    "~~~",
    "https://evil.example/x",
    "www.evil.example",
    "<https://evil.example>",
    "mail@evil.example",
    "@team",
    "#12",
    "$\\color{red}$",
    "\\[a](b)",
    " a ",
    "[24, 24]",
]
TEXTS = st.text(st.sampled_from("`*_~[]()<>!\\|&#-+=.:/ a1@$\"'\u00e9"), min_size=1, max_size=14)


def kinds(text: str) -> set[str]:
    """What there is in it beside text."""
    return {child.type for token in READER.parse(text) for child in token.children or ()} | {
        token.type for token in READER.parse(text)
    }


def shown(text: str) -> str:
    return "".join(child.content for token in READER.parse(text) for child in token.children or ())


@pytest.mark.parametrize("text", HOSTILE)
def test_inline_reads_as_it_is(text: str) -> None:
    found = kinds(inline(text))
    assert found <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special", "code_inline"}
    assert shown(inline(text)) == text.strip()


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_whatever_stands_in_a_line_reads_as_it_is(text: str) -> None:
    assert shown(f"- {inline(text)}") == visible(text).strip()
    assert kinds(f"- {inline(text)}") <= {
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "text", "text_special", "code_inline",
        "paragraph_close", "list_item_close", "bullet_list_close",
    }  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_code_is_never_left(text: str) -> None:
    (token,) = [token for token in READER.parse(f"a {code(text)}") if token.type == "inline"]
    read = [(child.type, child.content) for child in token.children or ()]
    assert read == [("text", "a "), ("code_inline", visible(text))]


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS)
def test_cells_hold_what_was_put_there(name: str, role: str) -> None:
    columns = (Column(title="Name", kind="name"), Column(title="Role"))
    document = Document(
        data=None, title="t", subtitle="s", facts=(), table=Table(columns=columns, rows=((name, role),))
    )
    tokens = READER.parse(to_markdown(document))
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    first, second = ["".join(child.content for child in cell.children or ()) for cell in cells]
    assert (first, second.strip()) == (visible(name), visible(role).strip())
    assert [child.type for child in cells[0].children or ()] == ["code_inline"]


def test_a_finding_and_its_hint() -> None:
    finding = Finding(code="unexpected-tensor", severity="warning", message="[a](b)", hint="![x](y) `")
    document = Document(
        data=None,
        title="[a](b)",
        subtitle="# s",
        facts=(("Shape", "[2, 3]"),),
        table=Table(columns=(), rows=()),
        findings=(finding,),
    )
    assert to_markdown(document) == (
        "## \\[a](b)\n\n\\# s\n\n- **Shape**: [2, 3]\n\n\n- **warning** `unexpected-tensor`: \\[a](b) *!\\[x](y) \\`*\n"
    )


def test_lines_stay_lines() -> None:
    assert inline("a\n# b") == "a\\\\x0a# b"
    assert one_line("a\n# b") == "a\\x0a# b"
