"""What finding codes mean: their entries in docs/findings.md, which is shipped with the package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from weightscope.analyses.checking import known_code
from weightscope.errors import UsageError
from weightscope.findings import CODES, DIFF_CODES, FORWARD_CODES, MEMORY_CODES
from weightscope.output.document import Column, Document, Table

HERE = Path(__file__).parents[1]
# In an installed package the page lies within it, in a checkout beside it.
PLACES = (HERE / "findings.md", HERE.parent / "docs" / "findings.md")
ALL = CODES | FORWARD_CODES | MEMORY_CODES | DIFF_CODES
RECORDS = (Column(title="Code"), Column(title="Summary"))
# Markdown's marks of emphasis and of links, whose text is kept.
EMPHASIS = re.compile(r"\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\([^)]*\)")
REMEDY = "**Do**:"


def explanation(codes: Sequence[str]) -> Document:
    """The entry of one code, or without a code all of them in a line each.

    Raises:
        UsageError: there is no such code, or several were named.
    """
    if len(codes) > 1:
        raise UsageError("--explain takes one code", hint="without a code it lists all")
    if codes:
        known_code(codes[0], others=True)
    named = {code: ALL[code] for code in codes} or ALL
    return Document(
        data={"schema_version": 1, "codes": [_data(code) for code in named]},
        title=codes[0] if codes else "Finding codes",
        subtitle="" if codes else "for details: weightscope check --explain CODE",
        facts=tuple(_paragraphs(codes[0])) if codes else tuple(named.items()),
        records=Table(columns=RECORDS, rows=tuple(named.items())),
    )


def _data(code: str) -> dict[str, str]:
    paragraphs = list(_paragraphs(code))
    return {
        "code": code,
        "summary": ALL[code],
        "meaning": "\n".join(text for label, text in paragraphs if label != "What to do"),
        "remedy": "\n".join(text for label, text in paragraphs if label == "What to do"),
    }


def entry(code: str) -> str:
    """The entry of a code that there is, as it is written in docs/findings.md."""
    page = next(place for place in PLACES if place.is_file()).read_text(encoding="utf-8")
    match = re.search(rf"^## {re.escape(code)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match, f"docs/findings.md has no entry for {code}"
    return match[1].strip()


def _paragraphs(code: str) -> Iterator[tuple[str, str]]:
    """The paragraphs of an entry as plain text, each under what it tells."""
    for number, paragraph in enumerate(entry(code).split("\n\n")):
        text, _, remedy = " ".join(paragraph.split()).partition(REMEDY)
        if text.strip():
            yield ("Severity" if text.startswith("*") else "" if number else "Meaning"), _plain(text)
        if remedy:
            yield "What to do", _plain(remedy)


def _plain(text: str) -> str:
    plain = EMPHASIS.sub(lambda match: match[1] or match[2] or match[3], text).replace("`", "").strip()
    first = plain.partition(" ")[0]
    # A file's name such as config.json keeps its case.
    return plain if "." in first.rstrip(".") else plain[:1].upper() + plain[1:]
