"""Paths that may be a MODEL: folders, and files by their names."""

from __future__ import annotations

import os

from weightscope.checkpoint.candidates import format_by_name
from weightscope.completion.offered import MOST, offered


def paths(begun: str) -> list[str]:
    """The paths that go on from what is typed, folders with a slash at the end.

    What is in a folder is offered where that folder is the only one: a shell puts a space behind a completion that is
    the only one.
    """
    found = _beginning(begun)
    if len(found) == 1 and found[0].endswith("/"):
        return _beginning(found[0]) or found
    return found


def _beginning(begun: str) -> list[str]:
    name = begun.rpartition("/")[2]
    prefix = begun.removesuffix(name)
    try:
        with os.scandir(os.path.expanduser(prefix) or ".") as entries:
            here = [entry for entry in entries if entry.name.startswith(name)][: 10 * MOST]
    except OSError:
        return []
    return offered((prefix + shown for entry in here if (shown := _shown(entry, hidden=name.startswith(".")))), begun)


def _shown(entry: os.DirEntry[str], *, hidden: bool) -> str:
    """How an entry is offered; empty where it is none that could be a MODEL."""
    if entry.name.startswith(".") and not hidden:
        return ""
    if entry.is_dir():
        return f"{entry.name}/"
    could_be = format_by_name(entry.name) or entry.name in ("config.json", "params.json") or "index" in entry.name
    return entry.name if could_be else ""
