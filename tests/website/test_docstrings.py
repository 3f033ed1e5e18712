"""The records of the Python pages name each of their fields in their docstrings."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join((DOCS / page).read_text() for page in ("python.md", "records.md"))
NAMED = re.findall(r"^::: (\S+)$", PAGES, re.MULTILINE)
# The section of a docstring that lists fields.
SECTION = re.compile(r"^Attributes:\n((?:    .*\n?|\n)+)", re.MULTILINE)


def record(name: str) -> type[msgspec.Struct] | None:
    """What the name stands for, if it is a record."""
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute, None)
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


RECORDS = {name: found for name in NAMED if (found := record(name))}


def test_there_are_records() -> None:
    assert len(RECORDS) > 30


@pytest.mark.parametrize("name", RECORDS)
def test_each_field_is_described(name: str) -> None:
    found = RECORDS[name]
    section = SECTION.search(inspect.cleandoc(found.__doc__ or "") + "\n")
    assert section
    described = re.findall(r"^    (\w+): ", section[1], re.MULTILINE)
    inherited = {field for base in found.__bases__ for field in getattr(base, "__struct_fields__", ())}
    assert set(described) == set(found.__struct_fields__) - inherited
