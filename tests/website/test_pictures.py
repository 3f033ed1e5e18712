"""Pictures show what the tools print today, load nothing, and no page shows one that nothing draws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from website.pages import VIEWS
from website.pictures import FIGURES, FOLDER, PICTURES, picture
from website.scene import scene
from website.screens import SCREENS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scene() as made:
        yield made


def lines(svg: str) -> list[str]:
    """The text of a picture, line by line: how Rich and Textual draw it differs from release to release."""
    found: dict[str, str] = {}
    for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        found[element.attrib["y"]] = found.get(element.attrib["y"], "") + (element.text or "")
    return list(filter(None, ("".join(line.split()) for line in found.values())))


@pytest.mark.parametrize("name", [*PICTURES, *FIGURES, *SCREENS])
def test_a_picture_is_up_to_date(name: str, folder: Path) -> None:
    """Otherwise: `python -m website.pictures`."""
    kept = (FOLDER / f"{name}.svg").read_text()
    assert lines(kept) == lines(picture(name, folder))
    assert lines(kept)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_alike(name: str, folder: Path) -> None:
    assert (FOLDER / f"{name}.svg").read_text() == FIGURES[name](folder).svg


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_loads_nothing(path: Path) -> None:
    text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    assert path.stat().st_size < 60_000


def test_a_picture_of_a_page_is_small() -> None:
    for name in VIEWS:
        content = (FOLDER / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) < 60_000


def test_pages_show_what_is_drawn_and_say_it_in_words() -> None:
    shown = {
        (page.parent / target).resolve(): words
        for page in PAGES
        for words, target in SHOWN.findall(page.read_text())
        if not target.startswith("http")
    }
    assert set(shown) == set(FOLDER.iterdir())
    assert {path.stem for path in shown} == {*PICTURES, *FIGURES, *SCREENS, *VIEWS}
    assert all(len(words.split()) >= 4 for words in shown.values())
