"""What each command prints, whole: every block of blocks/*.txt is run and compared, letter by letter.

A block begins with `$ NAME=value … weightscope …`, as one types it; its output is piped, and standard error is merged
into it. Escape is shown as ␛, and CACHE stands for a Hugging Face cache with three models. The numbers can be checked
by hand against the fixture's config.json.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTROL = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "CI", "PAGER")
FILES = sorted((Path(__file__).parent / "blocks").glob("*.txt"))
BLOCK = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SECONDS, MEMORY = re.compile(r"(?<=[·-] )\d+\.\d\d s\b"), re.compile(r"(?<=peak memory)(\s)[\d.]+ [MG]B")
BLOCKS = [(match[1], match[2]) for file in FILES for match in BLOCK.finditer(file.read_text(encoding="utf-8"))]


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """As the real client lays it out: two whole models, and the first three files of another."""
    # A short path, so that the line that names it fits; names of `mkdtemp` may have a _, which Markdown escapes.
    root = Path(tempfile.gettempdir()) / f"hub-{secrets.token_hex(4)}"
    for number, (name, files) in enumerate({"llama": None, "mixtral": None, "part": 3}.items()):
        model = root / f"models--org--{name}"
        snapshot = model / "snapshots" / f"{number:040x}"
        snapshot.mkdir(parents=True)
        (model / "refs").mkdir()
        (model / "refs" / "main").write_text(snapshot.name)
        for file in sorted((ROOT / "fixtures" / ("llama" if files else name)).iterdir())[:files]:
            shutil.copy(file, snapshot / file.name)
    yield root
    shutil.rmtree(root)


def output_of(line: str, cache: Path) -> str:
    """Standard output and error of a line with settings before its command."""
    words = shlex.split(line.replace("CACHE/", f"{cache}/"))
    place = words.index("weightscope")
    settings = dict(word.split("=", 1) for word in words[:place])
    kept = {key: value for key, value in os.environ.items() if key not in CONTROL}
    done = subprocess.run(
        [sys.executable, "-m", "weightscope", *words[place + 1 :]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=kept | {"PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color"} | settings,
        check=False,
    )
    shown = done.stdout.decode("utf-8").replace("\x1b", "␛").replace(str(cache), "CACHE")
    # What differs from run to run: of a pass its time and memory.
    return MEMORY.sub(r"\g<1>000 MB", SECONDS.sub("0.00 s", shown))


@pytest.mark.parametrize(("line", "expected"), BLOCKS, ids=[line for line, _ in BLOCKS])
def test_block(line: str, expected: str, cache: Path) -> None:
    # Blank lines between two blocks belong to neither.
    assert output_of(line, cache).rstrip("\n") == expected.rstrip("\n")


def test_nothing_is_wider_than_its_terminal_allows() -> None:
    for line, expected in BLOCKS:
        if match := re.search(r"\bCOLUMNS=(\d+)", line):
            shown = re.sub(r"␛\[[0-9;]*m", "", expected)
            assert max(map(len, shown.splitlines())) <= int(match[1]), line
