"""The page's table of architectures is the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import weightscope
from fixtures.gguf.models import EYES, MODELS
from weightscope.gguf.opening import described
from weightscope.gguf.table import ARCHITECTURES

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (`.*?`) \| (.*) \|$", re.MULTILINE)


def rows() -> dict[str, str]:
    """Each architecture, and what the page says that it is read as."""
    page = (ROOT / "docs" / "gguf.md").read_text().partition("| architecture |")[2].partition("\n\n")[0]
    listed = [(name, said) for names, said in ROW.findall(page) for name in re.findall("`(.*?)`", names)]
    assert len(dict(listed)) == len(listed)
    return dict(listed)


def test_the_page_lists_every_architecture() -> None:
    assert rows().keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", [*MODELS, *EYES])
def test_a_file_is_read_as_the_page_says(name: str) -> None:
    model = weightscope.open(ROOT / "fixtures" / "gguf" / f"{name}.gguf")
    metadata = described(model.checkpoint)
    assert metadata is not None
    assert model.config is not None
    said = rows()[metadata.architecture]
    assert f"`{model.config.model_type}`" in said or said == "the type of that name"


def test_every_architecture_has_a_file_of_the_converter() -> None:
    files = (
        described(weightscope.open(ROOT / "fixtures" / "gguf" / f"{name}.gguf").checkpoint) for name in (*MODELS, *EYES)
    )
    assert {metadata.architecture for metadata in files if metadata} == ARCHITECTURES.keys()
