"""A report as a parser of HTML reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.helpers import safetensors_bytes

ROOT = Path(__file__).parents[2]
# What would run, load or show something, where a name got out of its place.
HOSTILE = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<!--<script>",
    "]]>\"'`&lt;&#x3c;svg/onload=window.hit=1&#x3e;",
    "a\u2028b\u2029c\u202ed\u2066e\x00f\x1b[31m",
    "javascript:window.hit=1",
    "{}{0}{{x}}.{}",
    "__proto__",
    "constructor",
)


class Page(HTMLParser):
    """The tags with their attributes, the text of each element by its id, and scripts and styles as they stand."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inlined: list[tuple[str, dict[str, str], str]] = []
        self.text = ""
        self._raw: tuple[str, dict[str, str]] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        self._raw = (tag, attributes) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.inlined.append((*self._raw, data))
        else:
            self.text += data

    @property
    def policy(self) -> str:
        """The content security policy."""
        return next(a["content"] for _, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")

    @property
    def data(self) -> Any:
        """What the scripts read."""
        return next(json.loads(text) for _, attributes, text in self.inlined if attributes.get("id") == "data")


def run_report(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "weightscope", "report", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        check=False,
    )


def told(*arguments: str) -> Any:
    """What another command says of the same, from its JSON; exit codes other than 0 are verdicts."""
    command = [sys.executable, "-m", "weightscope", *arguments, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, cwd=ROOT, check=False).stdout)


def write_hostile(folder: Path) -> Path:
    """A folder whose tensors, file and config have names that attack the page."""
    header, end = {}, 0
    for name in HOSTILE:
        header[name] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [end, end + 16]}
        end += 16
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors_bytes(header, bytes(end)))
    config = {"model_type": HOSTILE[0], "architectures": [HOSTILE[1]]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
