"""Where weights lie below a folder that has none itself: for a message alone."""

from __future__ import annotations

import re
from pathlib import Path

from weightscope.checkpoint.candidates import NOT_WEIGHTS, format_by_name
from weightscope.checkpoint.folder import is_hidden

# A cache of the Hub has them two folders down; more folders than this are not looked into.
DEPTH, MOST = 3, 1000


def folder_with_weights(folder: Path) -> str:
    """The name of the nearest folder below that has a weight file; empty where none is near."""
    level = [folder]
    for _ in range(DEPTH):
        level = [inner for above in level for inner in _within(above) if _is_folder(inner)][:MOST]
        for inner in level:
            if any(_is_weights(path.name) for path in _within(inner)):
                return inner.relative_to(folder).as_posix()
    return ""


def _within(folder: Path) -> list[Path]:
    """What is in it, by name; nothing where it may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not is_hidden(path.name)


def _is_weights(name: str) -> bool:
    return bool(format_by_name(name)) and not re.fullmatch(NOT_WEIGHTS, name)
