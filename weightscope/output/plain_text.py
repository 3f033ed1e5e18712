"""Text for streams that take no more than ASCII: bars, formulas and lists in what is nearest."""

from __future__ import annotations

import re

import msgspec

from weightscope.output.document import Document

BARS = {"█": "#", **dict.fromkeys("▏▎▍", "."), **dict.fromkeys("▌▋▊▉", "#")}
SPARKS = dict(zip("▁▂▃▄▅▆▇", "_.:-=+*", strict=True))
SIGNS = {
    "·": "*", "⊙": "*", "∗": "*", "×": "x", "−": "-", "–": "-", "…": "~", "±": "+-", "ᵀ": "^T", "²": "^2", "³": "^3",
    "₋": "_-", "₁": "1", "⌈": "ceil(", "⌉": ")", "⌊": "floor(", "⌋": ")", "Σ": "sum", "μ": "mu", "β": "beta",
    "⅔": "2/3",
}  # fmt: skip
TABLE = str.maketrans(BARS | SPARKS | SIGNS)
ROOT = re.compile(r"√(\w+)")
# A dot between blanks separates the parts of a list, but for lines that are formulas.
FORMULA = re.compile(r"rms\(|norm\(|relu\(|Σ|\bw = |_embedding\[|· (stream|its|\w+_(norm|scale)\b)")


def document_in_ascii(document: Document) -> Document:
    """The document with all of its text in ASCII where that is known; what is not stays."""
    table = document.table
    rows = tuple(tuple(in_ascii(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows)
    return msgspec.structs.replace(
        document,
        title=in_ascii(document.title),
        subtitle=in_ascii(document.subtitle),
        facts=tuple((label, in_ascii(text)) for label, text in document.facts),
        table=msgspec.structs.replace(table, rows=rows),
        notes=tuple(map(in_ascii, document.notes)),
        closing=in_ascii(document.closing),
    )


def in_ascii(text: str) -> str:
    """The text, line by line."""
    return "".join(map(_line, text.splitlines(keepends=True)))


def _line(line: str) -> str:
    if not FORMULA.search(line):
        line = line.replace(" · ", " - ").replace(" ·\n", " -\n")
    return ROOT.sub(r"sqrt(\1)", line).replace("√", "sqrt").translate(TABLE)
