"""A project's own settings: `[tool.weightscope]` in pyproject.toml, or weightscope.toml, here or above."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from weightscope.analyses.checking import Policy
from weightscope.errors import UsageError
from weightscope.toml import TomlError, read_toml

NAMES = ("weightscope.toml", "pyproject.toml")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a settings file may say of `check`; the command line comes first."""

    fail_on: str = "error"
    ignore: tuple[str, ...] = ()
    values: bool = False


def find_settings(start: Path | None, *, note: Callable[[str], object] | None = None) -> Settings:
    """The nearest settings at `start` or above it; the defaults where there are none, or no directory to start from.

    A pyproject.toml that cannot be read, or not within bounds, is passed over: it need not be ours. `note` is told.

    Raises:
        UsageError: a weightscope.toml that cannot be read, or settings of ours that are none.
    """
    for directory in (start, *start.parents) if start else ():
        for name in NAMES:
            path = directory / name
            # Not Path.is_file, which complains of a directory that may not be looked into.
            if not os.path.isfile(path):  # noqa: PTH113
                continue
            try:
                table = _table(path, read_toml(path))
            except TomlError as error:
                if name == "weightscope.toml":
                    raise UsageError(f"cannot be read ({error})", where=path, hint="fix the file") from None
                if note:
                    note(f"{path}: ignored, because it cannot be read ({error})")
                continue
            if table is not None:
                return _convert(table, path)
    return Settings()


def _convert(table: dict[str, Any], path: Path) -> Settings:
    try:
        settings = msgspec.convert(table, Settings)
        Policy.of(settings.fail_on, settings.ignore)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"not valid settings ({error})", where=path, hint="the settings are fail-on, ignore and values"
        ) from None
    except UsageError as error:
        raise UsageError(error.what, where=path, hint=error.hint) from None
    return settings


def _table(path: Path, content: dict[str, Any]) -> dict[str, Any] | None:
    """The settings of a file; None where a pyproject.toml says nothing of us."""
    if path.name == "weightscope.toml":
        return content
    table = content.get("tool", {}).get("weightscope") if isinstance(content.get("tool"), dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError("[tool.weightscope] is not a table", where=path)
    return table
