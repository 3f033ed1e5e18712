"""What may be offered at all: shells evaluate what a completion puts out, and names come from other people's files."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A list that is longer helps nobody.
MOST = 500
# Nothing that bash, zsh or fish expands, quotes or runs: zsh evaluates the whole answer, bash expands its patterns.
HARMLESS = re.compile(r"(?:~/)?[A-Za-z0-9_.,/@+][A-Za-z0-9_.,/@+:=-]*")


def going_on(texts: Iterable[str], begun: str) -> list[str]:
    """The texts that go on from what is typed; those that a shell could take for more than text are left out."""
    return [text for text in texts if text.startswith(begun) and HARMLESS.fullmatch(text)]


def offered(texts: Iterable[str], begun: str) -> list[str]:
    """The same sorted, each once, and not too many."""
    return sorted(set(going_on(texts, begun)))[:MOST]
