"""TOML that others wrote, read within bounds of size, depth and length of keys."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

# Far above what projects have. A key of n parts takes tomllib n² steps and as much memory.
MAX_BYTES = 1_000_000
MAX_PARTS = 32
MAX_DEPTH = 64

# In the order in which TOML tells them apart; one that never ends takes the rest of the file, as it does for tomllib.
STRING_OR_COMMENT = re.compile(
    r"""
    \"{3}(?:[^\\]|\\.)*?"{3}"{0,2} | \"{3}.*
  | '{3}.*?'{3}'{0,2}               | '{3}.*
  | "(?:[^"\\\n]|\\[^\n])*+"        | '[^'\n]*'
  | \#[^\n]*                        | ["'].*
    """,
    re.DOTALL | re.VERBOSE,
)
LONG_KEY = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{MAX_PARTS}}}")
BRACKET = re.compile(r"[\[\]{}]")


class TomlError(Exception):
    """What is wrong with a file, in words."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file.

    Raises:
        TomlError: it cannot be read, is not TOML, or goes beyond the bounds.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise TomlError(f"it is larger than {MAX_BYTES:,} bytes")
        text = raw.decode()
        _check_bounds(text)
        return tomllib.loads(text)
    except OSError as error:
        raise TomlError(error.strerror or "the system does not say why") from None
    # Not only TOMLDecodeError: Python converts no number of over 4,300 digits.
    except (ValueError, RecursionError) as error:
        raise TomlError(str(error)) from None


def _check_bounds(text: str) -> None:
    bare = STRING_OR_COMMENT.sub(_stand_in, text)
    if LONG_KEY.search(bare):
        raise TomlError(f"a key has more than {MAX_PARTS} parts")
    depth = deepest = 0
    for bracket in BRACKET.findall(bare):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise TomlError(f"it nests more than {MAX_DEPTH} deep")


def _stand_in(match: re.Match[str]) -> str:
    return "" if match[0].startswith("#") else "s"
