"""Reading HTML and SVG with Python's own parsers, which know nothing of what wrote it."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
EMPTY = {"br", "hr", "img", "input", "link", "meta"}


class Reader(HTMLParser):
    """The tags, the attributes and the text of a fragment; every tag that is opened must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def svg(text: str) -> ET.Element:
    """The figure, which must be well-formed XML and pull in nothing."""
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text
    assert description is not None
    for part in root.iter():
        assert part.tag.removeprefix(SVG) not in {"script", "style", "foreignObject", "a", "use"}
        for name, value in part.attrib.items():
            assert name != "style"
            assert not name.startswith("on")
            assert "://" not in value or name == "{http://www.w3.org/2000/xmlns/}xmlns"
            assert "href" not in name or value.startswith("data:image/png;base64,")
    return root


def rectangles(root: ET.Element, kind: str) -> list[tuple[float, float, float, float]]:
    """x, y, width and height of the rectangles of a class."""
    found = (part for part in root.iter(f"{SVG}rect") if kind in part.get("class", "").split())
    return [tuple(float(part.get(name, "nan")) for name in ("x", "y", "width", "height")) for part in found]  # type: ignore[misc]
