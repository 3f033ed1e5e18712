"""Elements of HTML and SVG: the one place where text of others is escaped."""

from __future__ import annotations

from html import escape
from math import isfinite

from weightscope.errors import one_line

# Elements that hold nothing; `<rect/>` is read alike by parsers of HTML and of XML, and so is `<br/>`.
EMPTY = frozenset({"br", "circle", "hr", "image", "img", "input", "line", "link", "meta", "path", "rect"})
Attribute = str | int | float | None


class Markup(str):
    """HTML that is written as it is."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """An element; children that are no `Markup` become text.

    In the names of attributes `_` stands for `-`, and one at the end is dropped (`class_`). None leaves one out.
    """
    head = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{together(*children)}</{name}>")


def together(*parts: str) -> Markup:
    """The parts one after another; those that are no `Markup` become text."""
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts))


def text(words: str) -> Markup:
    """What others wrote, as text on one line: nothing of it is markup, hides or reorders; a very long one is cut."""
    return Markup(escape(one_line(words)))


def _value(value: str | float) -> str:
    if isinstance(value, Markup):
        return value.replace('"', "&quot;")
    if isinstance(value, str):
        return text(value)
    assert isfinite(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")
