"""SECURITY.md's table of limits says what the code says, and leaves no limit out."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import weightscope
from weightscope.analyses.forward.children.image import FORMATS
from weightscope.checkpoint.wire import WAITS
from weightscope.errors import one_line

PACKAGE = Path(weightscope.__file__).parent
PAGE = PACKAGE.parent / "SECURITY.md"
PLACE = re.compile(r"`([\w/]+)\.py`((?: [A-Z_0-9]+)+)")
# Bounds on what is no file's, server's or setting's of others, or which another limit contains.
UNLISTED = {
    "cli.MAX_COLUMNS",
    "analyses.naming.MAX_TYPED",
    "analyses.forward.children.serve.MAX_REASON",
    "analyses.forward.children.tokenizer.MAX_ID",
    "analyses.forward.speller.MAX_FLAG",
    "analyses.forward.speller.MAX_TEXTS",
    "checkpoint.claims.MAX_SIZE",
    "checkpoint.hub_settings.MAX_HOST",
    "checkpoint.hub_settings.MAX_TIMEOUT",
    "checkpoint.pytorch_objects.MAX_SIZE",
    "checkpoint.pytorch_zip.MAX_SMALL",
    "checkpoint.safetensors.MAX_SIZE",
}


def rows() -> list[list[str]]:
    lines = PAGE.read_text().partition("\n## Limits\n")[2].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


LISTED = [
    (file.replace("/", "."), name, limit)
    for _, _, limit, where in rows()
    for file, names in PLACE.findall(where)
    for name in names.split()
]


@pytest.mark.parametrize(("module", "name", "limit"), LISTED, ids=[f"{module}.{name}" for module, name, _ in LISTED])
def test_the_number_is_the_codes(module: str, name: str, limit: str) -> None:
    value = getattr(import_module(f"weightscope.{module}"), name)
    said = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    assert re.search(rf"(?<![\d,]){re.escape(said)}(?![\d,]*\d)", limit), f"{said} is not in {limit!r}"


def test_no_limit_is_left_out() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.parse(file.read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else ()
            found |= {f"{module}.{t.id}" for t in targets if isinstance(t, ast.Name) and t.id.startswith("MAX_")}
    assert found - {f"{module}.{name}" for module, name, _ in LISTED} == UNLISTED


def test_what_is_no_constant() -> None:
    limits = {what: limit for _, what, limit, _ in rows()}
    # Pillow's names are in capitals.
    assert limits["formats"].upper().split(", ") == list(FORMATS)
    assert len(one_line("x" * 10_000)) == int(limits["a message"].split()[0])
    assert limits["repetitions of what may pass; a wait that a server asks for"].startswith(f"{len(WAITS)};")
    assert all(limit for limit in limits.values())
    assert "FILL" not in PAGE.read_text()
