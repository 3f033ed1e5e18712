"""What a finding means: its entry in docs/findings.md, which is shipped with the package."""

from __future__ import annotations

import re
from pathlib import Path

from weightscope.analyses.checking import known_code

HERE = Path(__file__).parents[1]
# In an installed package the page lies within it, in a checkout beside it.
PLACES = (HERE / "findings.md", HERE.parent / "docs" / "findings.md")


def explanation(code: str) -> str:
    """The entry of one code.

    Raises:
        UsageError: there is no such code.
    """
    known_code(code, forward=True)
    page = next(place for place in PLACES if place.is_file()).read_text(encoding="utf-8")
    match = re.search(rf"^## {re.escape(code)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match, f"docs/findings.md has no entry for {code}"
    return f"{code}\n{match[1].rstrip()}\n"
