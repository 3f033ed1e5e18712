"""TOML within bounds: what projects write is read as tomllib reads it, what would take gigabytes is refused at once."""

from __future__ import annotations

import os
import time
import tomllib
from pathlib import Path

import pytest

from weightscope.toml import MAX_BYTES, MAX_DEPTH, MAX_PARTS, TomlError, read_toml

ROOT = Path(__file__).parents[1]
LONG = ".".join(["a"] * 60_000)
HOSTILE = {
    "a key of many parts": (f"{LONG} = 1", "parts"),
    "in a header": (f"[{LONG}]", "parts"),
    "with blanks": (LONG.replace(".", " . ") + " = 1", "parts"),
    "with quotes": ('"\\"".' * 60_000 + "a = 1", "parts"),
    "with apostrophes": ("'\"'." * 60_000 + "a = 1", "parts"),
    "after a string that seems not to end": (f'x = ["""\n\' """, {{{LONG} = 1}}]', "parts"),
    "after a comment that seems to begin a string": (f"# '''\n{LONG} = 1", "parts"),
    "nested arrays": ("x = " + "[" * 400_000, "nests"),
    "nested tables": ("x = " + "{a = " * 150_000, "nests"),
    "a long number": ("x = " + "1" * 900_000, "4300 digits"),
    "a string without an end": ('x = "' + '\\"' * 400_000, "Unterminated"),
    "quotes": ('\\"' * 400_000, "Invalid statement"),
    "no text": ("\udcff", "utf-8"),
}
ALL_KINDS = "\n".join([
    """"a.b".'c.d' = '""" + ".".join("1234567890" * 5) + "'",
    r'''text = """don't [[[[ " "" \""" """""''',
    r"""raw = '''it's "fine" [[[''' """,
    "# don't '''",
    '[tool.weightscope] # "',
    "fail-on = 'info'",
])  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_refused_at_once(kind: str, tmp_path: Path) -> None:
    text, word = HOSTILE[kind]
    (tmp_path / "a.toml").write_text(text, errors="surrogateescape")
    started = time.process_time()
    with pytest.raises(TomlError, match=word):
        read_toml(tmp_path / "a.toml")
    assert time.process_time() - started < 5


def test_a_file_of_any_size_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").touch()
    os.truncate(tmp_path / "a.toml", 3_000_000_000)
    with pytest.raises(TomlError, match="larger than 1,000,000 bytes"):
        read_toml(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "text",
    [
        ALL_KINDS,
        ".".join(["a"] * MAX_PARTS) + " = 1",
        "x = " + "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        "x = '" + "a." * 300_000 + "'",
        "#" * MAX_BYTES,
        (ROOT / "pyproject.toml").read_text(),
    ],
)
def test_what_is_within_bounds_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    assert read_toml(tmp_path / "a.toml") == tomllib.loads(text)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(TomlError, match="Is a directory"):
        read_toml(tmp_path)
