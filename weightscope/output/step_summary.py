"""The page that GitHub Actions shows for a job: the verdicts as Markdown, behind what other steps have written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

VARIABLE = "GITHUB_STEP_SUMMARY"
# GitHub shows nothing of a step that writes more than 1 MiB.
LIMIT = 1 << 20
CUT = "\n\nCut here: GitHub shows at most 1 MiB of a step. The log has all.\n"


def append_step_summary(markdown: str) -> str | None:
    """Append to the file that the runner of GitHub Actions names, if it names one; what kept it from that, if anything.

    It is no reason to fail: the log has the same.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    path = Path(name)
    try:
        # A pipe would be waited for.
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            return f"{VARIABLE} is no regular file: no summary was written"
        with path.open("ab") as file:
            start = "\n" if file.tell() else ""
            file.write(_cut(f"{start}{markdown}".encode(errors="backslashreplace"), LIMIT - file.tell()))
    except OSError as error:
        return f"no summary was written to {VARIABLE}: {error.strerror}"
    return None


def _cut(text: bytes, room: int) -> bytes:
    """The text, or as many of its lines as there is room for."""
    if len(text) <= room:
        return text
    kept = text[: max(0, room - len(CUT))]
    return kept[: kept.rfind(b"\n") + 1] + CUT.encode() if room > len(CUT) else b""
