"""A document as Markdown, GitHub's included: what others wrote stays text, whatever it holds."""

from __future__ import annotations

import re

from weightscope.errors import one_line
from weightscope.escapes import log_line
from weightscope.findings import Finding
from weightscope.output.document import Column, Document, Table
from weightscope.output.plain import show, with_all_digits

# Links and mentions that a renderer makes of bare text, and formulas: only within code does it leave them alone.
ACTIVE = re.compile(r"://|\bwww\.|\bmailto:|@|\$|#\d|\bGH-\d", re.IGNORECASE)
ENTITIES = {"<": "&lt;", "&": "&amp;"}
# What means something wherever it stands. A shape, [8, 24], is no link unless an address or a definition follows.
MARKUP = re.compile(
    r"[\\`|<]|&(?=#?\w)|\[(?!\d*(?:, \d+)*\](?![(\[:]))|[*~](?=\S)|(?<=\S)[*~]|(?<![^\W_])_++|_++(?![^\W_])"
)
# What means something where a line begins.
LEADING = re.compile(r"^(?:[#>+=*-]|\d+(?=[.)](?: |$)))")


def to_markdown(document: Document) -> str:
    """A heading, the facts as a list, the table, the findings as a list."""
    verdict = f"**{document.verdict}**" if document.verdict else ""
    subtitle = " · ".join(filter(None, (verdict, inline(document.subtitle))))
    lines = [f"## {inline(document.title)}", *(["", subtitle] if subtitle else []), ""]
    lines += [
        f"- **{inline(label)}**: {inline(text)}" if label else f"  - {inline(text)}" for label, text in document.facts
    ]
    if document.facts:
        lines.append("")
    lines += _table(document.table, exact=document.exact) if document.table.rows else []
    lines += ["", *(f"- {inline(note)}" for note in document.notes)] if document.notes else []
    if document.findings:
        lines += ["", *(_finding(finding) for finding in document.findings)]
    if document.closing:
        lines += ["", inline(document.closing)]
    return "\n".join(map(log_line, lines)) + "\n"


def inline(text: str) -> str:
    """Text that reads as it is: escaped, or as code where a renderer would make a link or a mention of it."""
    text = one_line(text).strip()
    if ACTIVE.search(text):
        return code(text)
    return LEADING.sub(_escaped_start, MARKUP.sub(_escaped, text))


def code(text: str) -> str:
    """Text as code, on one line; the marks around it are longer than any within."""
    text = one_line(text)
    if not text:
        return ""
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in (text[0], text[-1]) or (text[0] == text[-1] == " " and text.strip()) else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def _finding(finding: Finding) -> str:
    hint = f" *{inline(finding.hint)}*" if finding.hint else ""
    return f"- **{finding.severity}** `{finding.code}`: {inline(finding.message)}{hint}"


def _table(table: Table, *, exact: bool) -> list[str]:
    titles = " | ".join(column.title for column in table.columns)
    rules = " | ".join("---" if column.kind in ("text", "name") else "---:" for column in table.columns)
    digits = [with_all_digits(table, place, exact=exact) for place in range(len(table.columns))]
    lines = []
    for row in table.rows:
        cells = zip(row, table.columns, digits, strict=True)
        lines.append(" | ".join(_cell(show(cell, column, exact=whole), column) for cell, column, whole in cells))
    return [f"| {titles} |", f"| {rules} |", *(f"| {line} |" for line in lines)]


def _cell(text: str, column: Column) -> str:
    if column.kind != "name" and not ACTIVE.search(text):
        return MARKUP.sub(_escaped, text)
    # Cells are told apart before code is: a bar needs its backslash even there, and readers of tables take it off.
    return code(text).replace("|", "\\|")


def _escaped(match: re.Match[str]) -> str:
    return "".join(ENTITIES.get(character) or f"\\{character}" for character in match[0])


def _escaped_start(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdecimal() else f"\\{match[0]}"
