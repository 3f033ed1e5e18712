"""A project's own settings: `[tool.weightscope]` in pyproject.toml, or weightscope.toml, here or above."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from weightscope.analyses.checking import Policy
from weightscope.errors import UsageError

NAMES = ("weightscope.toml", "pyproject.toml")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a settings file may say of `check`; the command line comes first."""

    fail_on: str = "error"
    ignore: tuple[str, ...] = ()
    values: bool = False


def find_settings(start: Path) -> Settings:
    """The nearest settings at `start` or above it; the defaults where there are none.

    Raises:
        UsageError: a settings file that is not TOML, or says something else than settings.
    """
    for directory in (start, *start.parents):
        for name in NAMES:
            path = directory / name
            if path.is_file() and (table := _table(path)) is not None:
                return _convert(table, path)
    return Settings()


def _convert(table: dict[str, Any], path: Path) -> Settings:
    try:
        settings = msgspec.convert(table, Settings)
        Policy.of(settings.fail_on, settings.ignore)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"not settings of weightscope ({error})", where=path, hint="known are fail-on, ignore, values"
        ) from None
    except UsageError as error:
        raise UsageError(error.what, where=path, hint=error.hint) from None
    return settings


def _table(path: Path) -> dict[str, Any] | None:
    """The settings of a file; None where a pyproject.toml says nothing of us."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # Somebody else's broken pyproject.toml is not ours to complain about.
        if path.name == "pyproject.toml":
            return None
        raise UsageError(f"cannot be read ({error})", where=path, hint="mend the file") from None
    if path.name == "weightscope.toml":
        return content
    table = content.get("tool", {}).get("weightscope") if isinstance(content.get("tool"), dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError("[tool.weightscope] is not a table", where=path)
    return table
